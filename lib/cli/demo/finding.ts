/** Whether a promise has held, and what was seen that says so. */
export interface Finding {
  readonly name: string;
  readonly held: boolean;
  readonly found: string;
}

/** Nothing was seen that could say so: a promise that was not put to the test has not held. */
export function unseen(name: string): Finding {
  return { name, held: false, found: 'it did not come to that' };
}

/** `2 writes`, `1 write` */
export function count(number: number, what: string): string {
  return `${number.toLocaleString('en-US')} ${what}${number === 1 ? '' : 's'}`;
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
