import test from 'ava';
import type { WatchEvent } from '../../store/store.ts';
import type { EventMessage, WatchResponse } from './messages.ts';
import { fragmentsOf, partsOf } from './watch-responses.ts';

function deletes(from: number, count: number): WatchEvent[] {
  return Array.from({ length: count }, (_, index) => ({
    type: 'delete',
    key: `${index}`,
    modRevision: BigInt(from + index),
  }));
}

test('a thousand revisions go in one part, the next one begins another', (t) => {
  t.deepEqual(partsOf([]), []);
  t.deepEqual(
    partsOf(deletes(1, 1_000)).map(({ length }) => length),
    [1_000],
  );
  t.deepEqual(
    partsOf(deletes(1, 2_001)).map(({ length }) => length),
    [1_000, 1_000, 1],
  );
});

test('the events of one revision stay in one part', (t) => {
  const together = deletes(1_000, 1).flatMap((event) => [event, event, event]);
  const parts = partsOf([...deletes(1, 999), ...together, ...deletes(1_001, 1)]);
  t.deepEqual(
    parts.map(({ length }) => length),
    [1_002, 1],
  );
});

function event(valueBytes: number): EventMessage {
  return { type: 'Put', kv: { key: Buffer.from('a'), value: Buffer.alloc(valueBytes), mod_revision: '2' } };
}

const response: WatchResponse = { header: {}, watch_id: '3' };

const cuts: readonly (readonly [sizes: readonly number[], fragments: readonly number[]])[] = [
  [[], [0]],
  [[100], [1]],
  [[5_000], [1]],
  [
    [300, 300, 300],
    [2, 1],
  ],
  [
    [5_000, 10, 10],
    [1, 2],
  ],
  [
    [10, 5_000, 10],
    [1, 1, 1],
  ],
];
for (const [sizes, expected] of cuts) {
  test(`events of ${sizes.join(', ')} bytes go in fragments of ${expected.join(', ')} where 1,000 bytes are allowed`, (t) => {
    const fragments = fragmentsOf({ ...response, events: sizes.map(event) }, 1_000);
    t.deepEqual(
      fragments.map(({ events }) => events?.length),
      [...expected],
    );
    t.deepEqual(
      fragments.map(({ fragment }) => fragment),
      expected.map((_, index) => index < expected.length - 1),
    );
    t.true(fragments.every(({ watch_id }) => watch_id === '3'));
  });
}
