import test from 'ava';
import { joined, type Stretch } from '../examples/demo/quotes.ts';

// What the demo's audit knows of reads comes in stretches. One of them must not hide the answer that gives a worker away.

const MS = 1_000_000n;

function answer(atMs: number, change: Partial<Stretch> = {}): Stretch {
  const at = BigInt(atMs) * MS;
  const one = { version: 1, transferMs: 200, source: 'live', answers: 1, from: at, to: at, greatestAgeMs: 10 } as const;
  return { ...one, trueOf: at - 10n * MS, ...change };
}

test('a stretch keeps the greatest age, and the newest claim', (t) => {
  const old = answer(110, { greatestAgeMs: 300, trueOf: 50n * MS });
  const both = { answers: 2, from: 100n * MS, to: 110n * MS, greatestAgeMs: 300, trueOf: 90n * MS };
  t.like(joined(answer(100), old), both);
  t.like(joined(answer(100, { greatestAgeMs: 300, trueOf: 50n * MS }), answer(110)), { ...both, trueOf: 100n * MS });
});

const apart: readonly (readonly [title: string, next: Stretch])[] = [
  ['another version', answer(110, { version: 2 })],
  ['another source', answer(110, { source: 'stale' })],
  ['another value of the same version', answer(110, { transferMs: 40 })],
  ['an answer after a pause', answer(3_000)],
];
for (const [title, next] of apart) {
  test(`a stretch ends with ${title}`, (t) => {
    t.is(joined(answer(100), next), undefined);
  });
}
