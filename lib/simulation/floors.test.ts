import test from 'ava';
import { shortfalls, shortOf } from './floors.ts';

test('a run in which nothing happens is no proof, and is told what did not happen', (t) => {
  const short = shortfalls(new Map([['grants', 1_000_000]]), 1_000);
  t.true(short.some(({ name }) => name === 'losses'));
  t.true(short.some(({ name }) => name === 'fault: etcd is restored'));
  t.false(short.some(({ name }) => name === 'grants'));
  t.true(short.every((each) => shortOf(each).includes('Fewer mean: ')));
});

test('floors grow with the number of seeds', (t) => {
  const counts = new Map([['grants', 40_000]]);
  const isShort = (seeds: number): boolean => shortfalls(counts, seeds).some(({ name }) => name === 'grants');
  t.false(isShort(1_000));
  t.true(isShort(10_000));
});

test('a few seeds are not judged by the average', (t) => {
  t.deepEqual(shortfalls(new Map(), 10), []);
});
