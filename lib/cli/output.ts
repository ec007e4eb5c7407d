import { redactText } from '../runtime/redact.ts';
import { showSeconds } from './ui/page/duration.ts';

/** Where a command writes. */
export interface Sink {
  write(text: string): unknown;
}

export interface OutputOptions {
  readonly out: Sink;
  readonly err: Sink;
  /** Whether somebody looks at it: colours are for eyes. */
  readonly isColoured: boolean;
  /** `--json`: for programs. */
  readonly isJson: boolean;
}

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow';

const CODES: Readonly<Record<Style, string>> = { bold: '1', dim: '2', red: '31', green: '32', yellow: '33' };

/** One long name is not to push what stands beside all the others out of sight. */
const WIDEST = 40;

/** What a command says: to people as lines and tables, to programs as JSON, one document a line. */
export class Output {
  readonly isJson: boolean;
  readonly #options: OutputOptions;

  constructor(options: OutputOptions) {
    this.#options = options;
    this.isJson = options.isJson;
  }

  line(text = ''): void {
    this.#options.out.write(`${text}\n`);
  }

  /** With bigints as decimal text. */
  json(value: unknown): void {
    const plain = (_: string, each: unknown): unknown => (typeof each === 'bigint' ? each.toString() : each);
    this.line(JSON.stringify(value, plain));
  }

  /** Left out where nobody looks: what is printed is data then. */
  note(text: string): void {
    this.#options.err.write(`${redactText(text)}\n`);
  }

  /** To people as a line, to programs as a document. */
  tell(text: string, document: unknown): void {
    if (this.isJson) this.json(document);
    else this.line(text);
  }

  styled(style: Style, text: string): string {
    return this.#options.isColoured ? `\u001B[${CODES[style]}m${text}\u001B[0m` : text;
  }

  /** For what is drawn again and again; nothing where nobody looks. */
  clear(): void {
    if (this.#options.isColoured) this.#options.out.write('\u001B[2J\u001B[H');
    else this.line();
  }

  /** Columns as wide as they need to be; the last one is as long as it is, and what is very long moves its own row alone. */
  table(head: readonly string[], rows: readonly (readonly string[])[]): void {
    const widths = head.map((title, column) => {
      const longest = Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0));
      return Math.min(longest, WIDEST);
    });
    const padded = (row: readonly string[]): string =>
      row.map((cell, column) => (column === head.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  ');
    this.line(this.styled('dim', padded(head)));
    for (const row of rows) this.line(padded(row));
  }
}

/** Text on one line, without what would move a terminal's cursor: control characters as JSON has them. */
export function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (character) => {
    const quoted = JSON.stringify(character).slice(1, -1);
    return quoted === character ? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}` : quoted;
  });
}

/** `2026-11-27 03:00:00Z` */
export function showInstant(instant: Date): string {
  return instant.toISOString().replace('T', ' ').replace('.000', '');
}

/** `12 MiB`; `20 KiB` of what has not come to one. */
export function showSize(bytes: number): string {
  if (bytes < 1024 * 1024) return `${Math.ceil(bytes / 1024)} KiB`;
  return `${Math.round(bytes / 1024 / 1024)} MiB`;
}

/** `250ms`, `3s`, `2m 5s`, `1h 2m`: for people. */
export function showDuration(ms: number): string {
  if (!Number.isFinite(ms)) return 'for ever';
  return ms < 1_000 ? `${Math.max(0, Math.floor(ms))}ms` : showSeconds(ms);
}
