/** Act 4: a setting is changed while everybody works. Nobody is restarted, and nobody asks for it. */
import type { Operator, Change } from './operator.ts';
import type { Stage } from './stage.ts';

/** A change arrives within milliseconds. What did not arrive in this time is for the audit to find. */
const LIMIT_MS = 10_000;

export async function paceIsChanged(
  { rollCall, witness, timeline, signal }: Stage,
  operator: Operator,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<Change> {
  const change = await operator.set(to, signal);
  const { version, sentAt } = change;
  timeline.say('operator', `sets the pace from ${from} to ${to} ms a transfer: version ${version}`);
  await rollCall.allWithin(LIMIT_MS, (said) => said.version === version && said.stretch?.version === version, signal);
  const applied = witness.configured
    .filter((each) => each.version === version)
    .toSorted((one, other) => (one.worker < other.worker ? -1 : 1))
    .map(({ worker, at }) => `${worker} after ${Math.ceil(Number(at - sentAt) / 1e6)} ms`);
  timeline.say('workers', `apply it: ${applied.join(', ')}; none was restarted`, 'good');
  return change;
}
