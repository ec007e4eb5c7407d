import test from 'ava';
import type { IEvent, IResponseHeader, IWatchResponse } from 'etcd3';
import * as fc from 'fast-check';
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

test('however a log is cut into fragments, its revisions come whole, once and in order', (t) => {
  /* How many events each revision has, and how many each piece; the last piece of an answer is no fragment. */
  const sizes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(sizes, fc.array(fc.tuple(fc.nat(6), fc.boolean())), (revisions, pieces) => {
      const log = revisions.flatMap((size, index) => Array.from({ length: size }, () => index + 1));
      const answers: IWatchResponse[] = [];
      let at = 0;
      for (const [length, isWhole] of pieces) {
        /* An answer ends with a whole revision: etcd cuts fragments alone within one. */
        const end = at + length;
        const isBoundary = end === 0 || log[end] !== log[end - 1];
        answers.push(answer(log.slice(at, end), !(isWhole && isBoundary)));
        at = Math.min(end, log.length);
      }
      answers.push(answer(log.slice(at), false));
      const made = batches(...answers).filter((batch) => batch !== undefined);
      t.deepEqual(made.flat(), log.map(BigInt));
      for (const batch of made) {
        const whole = log.map(BigInt).filter((revision) => batch.includes(revision));
        t.deepEqual(batch, whole);
      }
    }),
  );
});
