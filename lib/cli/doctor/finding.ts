/** One fact about a deployment, and what to do about it. */
export interface Finding {
  /** What it is about, in a word or two: `members`, `latency`. */
  readonly about: string;
  /** `fine`; `note`: to know; `warning`: it will hurt one day; `problem`: it hurts. */
  readonly level: 'fine' | 'note' | 'warning' | 'problem';
  readonly fact: string;
  /** What to do; nothing where all is well. */
  readonly advice?: string;
}
