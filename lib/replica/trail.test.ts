import test from 'ava';
import type { RangeResponse, WatchEvent } from '../store/store.ts';
import { Trail, type Verdict } from './trail.ts';

const put = (key: string, modRevision: bigint): WatchEvent => ({
  type: 'put',
  entry: { key, value: '', createRevision: modRevision, modRevision, version: 1n, lease: 0n },
});
const gone = (key: string, modRevision: bigint): WatchEvent => ({ type: 'delete', key, modRevision });

/** A step: its revision, its event, and how many keys there are after it. */
type Steps = readonly (readonly [bigint, WatchEvent, number])[];

function answer(revision: bigint, count: number, newest?: bigint): RangeResponse {
  const event = newest === undefined ? undefined : put('p', newest);
  return { revision, count, entries: event?.type === 'put' ? [event.entry] : [], more: false };
}

/* The replica holds 2 keys as of revision 10 when it asks. */
const cases: readonly [string, Steps, RangeResponse, Verdict][] = [
  ['nothing new', [], answer(20n, 2), 'proved'],
  ['nothing new, while it goes on to something newer', [[21n, put('c', 21n), 3]], answer(20n, 2), 'proved'],
  ['an older answer', [], answer(9n, 2), 'refuted'],
  ['a put under way', [], answer(20n, 3, 15n), 'waiting'],
  ['a put that has come since', [[15n, put('c', 15n), 3]], answer(20n, 3, 15n), 'proved'],
  ['one of two puts under way', [[15n, put('c', 15n), 3]], answer(20n, 3, 16n), 'waiting'],
  ['a put that never came', [[21n, put('c', 21n), 3]], answer(20n, 3, 15n), 'refuted'],
  ['a delete under way', [], answer(20n, 1), 'waiting'],
  ['a delete that has come since', [[12n, gone('b', 12n), 1]], answer(20n, 1), 'proved'],
  ['a delete that never came', [[20n, put('a', 20n), 2]], answer(20n, 1, 20n), 'refuted'],
  [
    'what came and went in between',
    [
      [12n, put('c', 12n), 3],
      [13n, gone('c', 13n), 2],
      [30n, put('c', 30n), 3],
    ],
    answer(20n, 2),
    'proved',
  ],
];
for (const [what, steps, said, verdict] of cases) {
  test(`${what}: ${verdict}`, (t) => {
    const trail = new Trail(10n, 2);
    const question = trail.ask({ prefix: 'p' });
    t.is(question.request.minModRevision, 11n);
    for (const [revision, event, size] of steps) trail.step(revision, [event], size);
    t.is(trail.weigh(question, said), verdict);
  });
}

test('a question counts from when it was asked, whatever was asked before', (t) => {
  const trail = new Trail(10n, 2);
  const first = trail.ask({ prefix: 'p' });
  trail.step(15n, [put('c', 15n)], 3);
  const second = trail.ask({ prefix: 'p' });
  t.is(trail.weigh(first, answer(20n, 3, 15n)), 'proved');
  t.is(trail.weigh(second, answer(20n, 3)), 'proved');
  t.is(trail.weigh(second, answer(20n, 3, 16n)), 'waiting');
});
