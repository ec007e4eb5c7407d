/** What an audit finds, in a line. */
export interface Finding {
  readonly name: string;
  readonly found: string;
  /** `undefined`: a measure, or something that did not come up in this run; no promise hangs on it. */
  readonly ok: boolean | undefined;
}

/** It holds if nothing is bad. Of what is bad, the first few are named. */
export function finding(name: string, bad: readonly string[], found: string): Finding {
  const some = bad.slice(0, 3).join(', ') + (bad.length > 3 ? ', …' : '');
  return { name, found: bad.length === 0 ? found : `${found}; wrong: ${some}`, ok: bad.length === 0 };
}
