import test from 'ava';
import { packToken } from '../../lib/queue/token.ts';
import { judgePlaces } from './places.ts';
import { revisionsAfter, standsBelow } from './stands.ts';
import type { LoggedEvent } from './store-log.ts';

const QUEUE = 'torture/partition/orders/1/';

function enqueued(revision: bigint, place: string): LoggedEvent {
  const entry = { key: `${QUEUE}${place}`, value: '', createRevision: revision, modRevision: revision };
  return { type: 'put', entry: { ...entry, version: 1n, lease: 7n }, at: Number(revision) * 10 };
}

const log: readonly LoggedEvent[] = [
  enqueued(1n, 'a'),
  enqueued(2n, 'b'),
  { type: 'delete', key: `${QUEUE}a`, modRevision: 5n, at: 50 },
];

test('what is granted to somebody without a place, or with others before it, is wrong', (t) => {
  const revisionAfter = revisionsAfter([
    { askedAt: 31, revision: 4n },
    { askedAt: 52, revision: 6n },
  ]);
  const wrong = (revision: bigint, grantedAt: number): string[] => {
    const token = packToken({ epoch: 0, revision, handoff: 0 });
    const tenures = [{ client: 'a.1', token, since: 0, grantedAt }];
    return judgePlaces('partition 1', tenures, standsBelow(log, QUEUE), revisionAfter);
  };
  t.deepEqual(wrong(1n, 15), []);
  t.deepEqual(wrong(2n, 51), []);
  t.regex(wrong(2n, 30).join(), /^L2 partition 1: .* behind .*a of 1$/);
  t.regex(wrong(3n, 51).join(), /without a place/);
  t.deepEqual(wrong(2n, 40), [], 'it was over soon after, and nothing shows that it was not over before');
  t.deepEqual(wrong(2n, 60), [], 'nothing shows that this is over');
});
