/** Places in the wait queues, by the store's log, and the judge of those who were granted what one queues for. */
import { unpackToken } from '../../lib/index.ts';
import { outlasts, type Stand } from './stands.ts';
import type { Tenure } from './tenures.ts';

/** L2: to whom it was granted had a place in the queue, before which no other stood any more. `places`: of this queue alone. */
export function judgePlaces(
  what: string,
  tenures: readonly Tenure[],
  places: readonly Stand[],
  revisionAfter: (at: number) => bigint | undefined,
): string[] {
  const own = new Set(places.map(({ entry }) => entry.createRevision));
  return tenures.flatMap(({ client, token, grantedAt }) => {
    const { revision } = unpackToken(token);
    const describe = (wrong: string): string => `L2 ${what}: ${client} (${token}) was granted it ${wrong}`;
    if (!own.has(revision)) return [describe('without a place in its queue')];
    const after = revisionAfter(grantedAt);
    if (after === undefined) return [];
    const before = places.find((place) => place.entry.createRevision < revision && outlasts(place, after));
    return before === undefined ? [] : [describe(`behind ${before.entry.key} of ${before.entry.createRevision}`)];
  });
}
