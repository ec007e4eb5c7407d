/** Act 4: a setting is changed while everybody works. Nobody is restarted, and nobody asks for it. */
import type { Change, Operator } from './operator.ts';
import type { Said } from './roll-call.ts';
import type { Stage } from './stage.ts';
import { seconds } from './timeline.ts';

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
  const isApplied = (said: Said): boolean => said.version === version && said.stretch?.version === version;
  if (!(await rollCall.allWithin(LIMIT_MS, isApplied, signal))) {
    timeline.say('workers', `do not all go by it after ${seconds(LIMIT_MS)}`, 'refused');
    return change;
  }
  const applied = witness.configured
    .filter((each) => each.version === version)
    .toSorted((one, other) => (one.worker < other.worker ? -1 : 1))
    .map(({ worker, at }) => `${worker} after ${Math.ceil(Number(at - sentAt) / 1e6)} ms`);
  timeline.say('workers', `apply it: ${applied.join(', ')}; none was restarted`, 'good');
  return change;
}
