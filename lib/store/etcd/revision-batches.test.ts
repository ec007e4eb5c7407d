import test from 'ava';
import type { IEvent, IResponseHeader, IWatchResponse } from 'etcd3';
import { revisionOf } from '../follow.ts';
import { RevisionBatches } from './revision-batches.ts';

function answer(revisions: readonly number[], fragment: boolean): IWatchResponse {
  const events = revisions.map((revision): IEvent => {
    const kv = { key: Buffer.from('key'), value: Buffer.from('value'), create_revision: '1', version: '1', lease: '0' };
    const entry = { ...kv, mod_revision: String(revision) };
    return { type: 'Put', kv: entry, prev_kv: entry };
  });
  const header: IResponseHeader = { cluster_id: '1', member_id: '1', revision: '99', raft_term: '1' };
  return {
    header,
    watch_id: '1',
    created: false,
    canceled: false,
    compact_revision: '0',
    cancel_reason: '',
    fragment,
    events,
  };
}

/** What becomes of a row of answers: the revisions of the events of each batch. */
function batches(...answers: readonly IWatchResponse[]): (readonly bigint[] | undefined)[] {
  const joined = new RevisionBatches();
  return answers.map((each) => joined.add(each)?.batch.events.map(revisionOf));
}

test('an answer in one piece is one batch', (t) => {
  t.deepEqual(batches(answer([3, 3, 4], false)), [[3n, 3n, 4n]]);
});

test('an answer without events is no batch', (t) => {
  t.deepEqual(batches(answer([], false)), [undefined]);
});

test('a revision that is cut by a fragment is delivered whole, and those before it at once', (t) => {
  t.deepEqual(batches(answer([3, 4, 5], true), answer([5, 5], true), answer([5, 6], true), answer([6, 7], false)), [
    [3n, 4n],
    undefined,
    [5n, 5n, 5n, 5n],
    [6n, 6n, 7n],
  ]);
});

test('a revision that a fragment happens to end with is held until it is known to be whole', (t) => {
  t.deepEqual(batches(answer([3], true), answer([4], false), answer([5], false)), [undefined, [3n, 4n], [5n]]);
  t.deepEqual(batches(answer([3], true), answer([], false)), [undefined, [3n]]);
});

test('a batch carries the revision of its last event and about its size', (t) => {
  const added = new RevisionBatches().add(answer([3, 4], false));
  t.is(added?.batch.revision, 4n);
  t.true((added?.bytes ?? 0) > 16);
});
