import { unpackToken, type Leader } from '../../lib/index.ts';
import { brief, type HistoryEvent } from '../replica/history.ts';

/** Who led from a revision on, as the store itself tells it: the first key in the queue, or nobody. */
export interface Step {
  readonly revision: bigint;
  readonly leader: { readonly createRevision: bigint; readonly value: string } | undefined;
}

/** Every change of the leader, or of what it proclaims, from the beginning, when nobody led. */
export function stepsOf(events: readonly HistoryEvent[]): Step[] {
  const steps: Step[] = [{ revision: 0n, leader: undefined }];
  const queue = new Map<string, { readonly createRevision: bigint; readonly value: string }>();
  let leading: string | undefined;
  for (const { revision, key, value } of events) {
    if (value === undefined) queue.delete(key);
    else queue.set(key, { createRevision: queue.get(key)?.createRevision ?? revision, value });
    const [first] = [...queue].toSorted(([, a], [, b]) => Number(a.createRevision - b.createRevision));
    if (first?.[0] !== leading || key === leading) steps.push({ revision, leader: first?.[1] });
    leading = first?.[0];
  }
  return steps;
}

/**
 * Whether an observer was told, in order, only what was so, and up to the end. Returns the steps that it was not told of. Throws an Error
 * for a leader that the store did not have, or had before.
 */
export function checkObserved(seen: readonly (Leader | undefined)[], steps: readonly Step[]): Step[] {
  const skipped: Step[] = [];
  let next = 0;
  for (const [index, leader] of seen.entries()) {
    const found = steps.findIndex((step, place) => place >= next && isStep(step, leader));
    if (found === -1)
      throw new Error(`Leader ${index}, ${shown(leader)}, was none after step ${next} of ${steps.length}`);
    skipped.push(...steps.slice(next, found));
    next = found + 1;
  }
  if (next < steps.length) throw new Error(`It was told of nothing after step ${next} of ${steps.length}`);
  return skipped;
}

/** Whether it is the last of the steps that it has been told of. */
export function isStep(step: Step | undefined, leader: Leader | undefined): boolean {
  if (step?.leader === undefined || leader === undefined) return step?.leader === undefined && leader === undefined;
  const { createRevision, value } = step.leader;
  return createRevision === unpackToken(leader.token).revision && value === brief(leader.value);
}

function shown(leader: Leader | undefined): string {
  return leader === undefined ? 'nobody' : `${JSON.stringify(leader.value)} with ${leader.token}`;
}
