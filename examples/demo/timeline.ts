/** The story as it happens: time since start, who, what. Plain text on a pipe, colours on a terminal. */
import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** `plain`: what goes well. `trouble`: what the demo does to it. `refused`: what the guard or the SDK did not let through. */
export type Tone = 'plain' | 'good' | 'trouble' | 'refused' | 'quiet';

const STYLES: Readonly<Record<Tone, Style | undefined>> = {
  plain: undefined,
  good: 'green',
  trouble: 'yellow',
  refused: 'magenta',
  quiet: 'gray',
};

const WIDTH = 100;
const TIME_WIDTH = 9;
const WHO_WIDTH = 9;

export interface Output {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
}

export class Timeline {
  readonly #output: Output;
  readonly #coloured: boolean;
  readonly #startedAt = performance.now();

  constructor(output: Output) {
    this.#output = output;
    this.#coloured = output.isTTY === true && (process.env['NO_COLOR'] ?? '') === '';
  }

  /** A line of the story; wrapped under itself where it is long. */
  say(who: string, what: string, tone: Tone = 'plain'): void {
    const at = `${((performance.now() - this.#startedAt) / 1_000).toFixed(2)} s`.padStart(TIME_WIDTH - 1);
    const [first = '', ...more] = wrap(what, WIDTH - TIME_WIDTH - WHO_WIDTH - 2);
    this.#line(`${at}  ${this.#style('bold', who.padEnd(WHO_WIDTH))}${this.#style(STYLES[tone], first)}`);
    for (const line of more) this.#line(' '.repeat(TIME_WIDTH + WHO_WIDTH + 1) + this.#style(STYLES[tone], line));
  }

  /** A line outside of time. */
  print(text = '', tone: Tone = 'plain'): void {
    this.#line(this.#style(STYLES[tone], text));
  }

  heading(text: string): void {
    this.#line(`\n${this.#style('bold', text)}`);
  }

  /** Columns as wide as their widest cell. Columns of numbers are aligned to the right. */
  table(rows: readonly (readonly string[])[], { numbers = [] }: { readonly numbers?: readonly number[] } = {}): void {
    const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
    for (const row of rows) {
      const cells = row.map((cell, column) => {
        const width = widths[column] ?? 0;
        return numbers.includes(column) ? cell.padStart(width) : cell.padEnd(width);
      });
      const tone: Tone = row.at(-1) === 'FAILED' ? 'refused' : 'plain';
      this.print(`  ${cells.join('   ').trimEnd()}`, tone);
    }
  }

  #line(text: string): void {
    this.#output.write(`${text}\n`);
  }

  #style(style: Style | undefined, text: string): string {
    return this.#coloured && style !== undefined ? styleText(style, text) : text;
  }
}

/** Cents, as people write them: 1,234.50 */
export function money(cents: number): string {
  return (cents / 100).toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
}

export function count(whole: number): string {
  return whole.toLocaleString('en-US');
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
