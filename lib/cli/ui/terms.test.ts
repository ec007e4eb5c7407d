import test from 'ava';
import type { SurveyedQueue } from '../../survey/survey.ts';
import { Terms } from './terms.ts';

function led(name: string, by?: string, token = 1n): SurveyedQueue {
  const who = { instanceId: by, createRevision: token, askedAt: undefined, lease: '1', key: `k/${token}`, token };
  return { kind: 'election', name, holders: by === undefined ? [] : [who], waiters: [] };
}

test('a term goes on for as long as its token stands, and another token is another term, also of the same leader', (t) => {
  const terms = new Terms();
  terms.see([led('a', 'one', 5n)], 1_000);
  terms.see([led('a', 'one', 5n)], 2_000);
  terms.see([led('a', 'one', 9n)], 3_000);
  t.deepEqual(terms.elections[0]?.terms, [
    { who: 'one', token: '5', fromMs: 1_000, isOlder: true, toMs: 2_000 },
    { who: 'one', token: '9', fromMs: 3_000, isOlder: false },
  ]);
});

test('a term ends where nobody leads any more, where the queue is gone, and not a second time', (t) => {
  const terms = new Terms();
  terms.see([led('a', 'one', 5n), led('b', 'two', 6n)], 1_000);
  terms.see([led('a')], 2_000);
  terms.see([], 3_000);
  t.deepEqual(
    terms.elections.map(({ name, terms: all }) => [name, all.at(-1)?.toMs]),
    [
      ['a', 1_000],
      ['b', 1_000],
    ],
  );
});

test('of the time in which no look was answered nothing is said: a term lasts until it was last seen, and what follows may be older', (t) => {
  const terms = new Terms();
  terms.see([led('a', 'one', 5n)], 1_000);
  terms.see([led('a', 'one', 5n)], 2_000);
  terms.see([led('a', 'two', 9n), led('b', 'one', 10n)], 600_000);
  t.deepEqual(
    terms.elections.map(({ terms: all }) => all),
    [
      [
        { who: 'one', token: '5', fromMs: 1_000, isOlder: true, toMs: 2_000 },
        { who: 'two', token: '9', fromMs: 600_000, isOlder: true },
      ],
      [{ who: 'one', token: '10', fromMs: 600_000, isOlder: true }],
    ],
  );
});

test('a clock that is set back begins the terms anew', (t) => {
  const terms = new Terms();
  terms.see([led('a', 'one', 5n)], 3_600_000);
  terms.see([led('a', 'two', 9n)], 3_601_000);
  terms.see([led('a', 'two', 9n)], 2_000);
  t.is(terms.sinceMs, 2_000);
  t.deepEqual(terms.elections[0]?.terms, [{ who: 'two', token: '9', fromMs: 2_000, isOlder: true }]);
});

test('locks and what else is held have no terms, and what is remembered is bounded', (t) => {
  const terms = new Terms();
  terms.see([{ ...led('a', 'one'), kind: 'lock' }], 1_000);
  t.deepEqual(terms.elections, []);
  for (let look = 0; look < 300; look += 1) terms.see([led('a', 'one', BigInt(look))], 1_000 * look);
  t.is(terms.elections[0]?.terms.length, 100);
  t.is(terms.elections[0]?.terms.at(-1)?.token, '299');
  for (let look = 0; look < 600; look += 1) terms.see([led(`n${look}`, 'one')], 1_000 * look);
  t.is(terms.elections.length, 500);
  t.true(terms.elections.some(({ name }) => name === 'n599'));
});
