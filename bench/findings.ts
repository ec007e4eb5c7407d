/** What a benchmark found, beside what was aimed at, and the one table that shows all of it. */

/** The same ratio from several rounds. */
export interface Spread {
  readonly least: number;
  readonly median: number;
  readonly greatest: number;
}

/** A target of the project. `why` says what a bound stands for that does not speak for itself. */
export type Target = ({ readonly atMost: number } | { readonly atLeast: number }) & { readonly why?: string };

export interface Finding {
  /** What was compared with what. */
  readonly what: string;
  readonly measured: Spread | number;
  /** What the number counts, where it is not a plain ratio. */
  readonly unit?: string;
  readonly target?: Target;
}

/** What stands behind the ratios, in the units and with the luck of this run. */
export interface Sheet {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface Results {
  readonly findings: readonly Finding[];
  readonly sheets?: readonly Sheet[];
}

export function isMet({ measured, target }: Finding): boolean | undefined {
  if (target === undefined) return undefined;
  const value = typeof measured === 'number' ? measured : measured.median;
  return 'atMost' in target ? value <= target.atMost : value >= target.atLeast;
}

/** As Markdown, so that a run can be put into the documentation as it is. The median decides whether a target is met. */
export function tableOf(findings: readonly Finding[]): string {
  const head = ['what', 'measured', 'target', ''];
  const rows = findings.map((finding) => {
    const met = isMet(finding);
    const verdict = met === undefined ? '' : met ? 'met' : '**not met**';
    return [finding.what, showSpread(finding.measured, finding.unit), targetOf(finding), verdict];
  });
  return markdown(head, rows);
}

export function sheetOf({ title, head, rows }: Sheet): string {
  return `### ${title}\n\n${markdown(head, rows)}`;
}

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(3, title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n');
}

/** The median, with the least and the greatest. */
export function showSpread(measured: Spread | number, unit?: string): string {
  const suffix = unit === undefined ? '' : ` ${unit}`;
  if (typeof measured === 'number') return `${rounded(measured)}${suffix}`;
  return `${rounded(measured.median)}${suffix} (${rounded(measured.least)}–${rounded(measured.greatest)})`;
}

function targetOf({ target, unit }: Finding): string {
  if (target === undefined) return '';
  const bound = 'atMost' in target ? `≤ ${target.atMost}` : `≥ ${target.atLeast}`;
  return `${bound}${unit === undefined ? '' : ` ${unit}`}${target.why === undefined ? '' : `: ${target.why}`}`;
}

function rounded(value: number): string {
  /* A ratio to somebody who did nothing at all, or nothing to measure. */
  if (!Number.isFinite(value)) return Number.isNaN(value) ? '–' : '∞';
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(2);
}
