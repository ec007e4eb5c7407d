import { getEventListeners } from 'node:events';
import test from 'ava';
import { Latest } from './latest.ts';

test('a reader gets the current value first, then each newer one that it is quick enough for', async (t) => {
  const latest = new Latest(1);
  const values = latest.watch();
  t.deepEqual(await values.next(), { done: false, value: 1 });
  const next = values.next();
  latest.set(2);
  t.deepEqual(await next, { done: false, value: 2 });
});

test('a slow reader gets the newest, and is never behind', async (t) => {
  const latest = new Latest(1);
  const values = latest.watch();
  for (let value = 2; value <= 1_000; value += 1) latest.set(value);
  t.deepEqual(await values.next(), { done: false, value: 1_000 });
});

test('a reader subscribes when it is made, not when it first asks', async (t) => {
  const latest = new Latest(1);
  const values = latest.watch();
  latest.set(2);
  latest.close();
  t.deepEqual(await values.next(), { done: false, value: 2 });
  t.true((await values.next()).done);
});

test('every reader gets every change, and closing ends them all, also the one that waits', async (t) => {
  const latest = new Latest('a');
  const readers = [latest.watch(), latest.watch()];
  for (const reader of readers) await reader.next();
  const waiting = readers.map((reader) => reader.next());
  latest.set('b');
  t.deepEqual(
    (await Promise.all(waiting)).map(({ value }) => value),
    ['b', 'b'],
  );
  const last = readers.map((reader) => reader.next());
  latest.close();
  for (const { done } of await Promise.all(last)) t.true(done);
});

test('after closing the last value stands, and nothing changes it', async (t) => {
  const latest = new Latest('a');
  latest.close();
  latest.set('b');
  t.is(latest.value, 'a');
  const values: string[] = [];
  for await (const value of latest.watch()) values.push(value);
  t.deepEqual(values, ['a']);
});

test('an abort is thrown, to a reader that waits and to one that asks later, and no listener stays', async (t) => {
  const latest = new Latest(1);
  const abort = new AbortController();
  const waits = latest.watch(abort.signal);
  const later = latest.watch(abort.signal);
  await waits.next();
  const waiting = t.throwsAsync(waits.next(), { message: 'enough' });
  abort.abort(new Error('enough'));
  await waiting;
  await t.throwsAsync(later.next(), { message: 'enough' });
  t.true((await waits.next()).done);
  t.is(getEventListeners(abort.signal, 'abort').length, 0);
});

test('break unsubscribes, and two questions at once are both answered', async (t) => {
  const latest = new Latest(1);
  const abort = new AbortController();
  for await (const value of latest.watch(abort.signal)) {
    t.is(value, 1);
    break;
  }
  t.is(getEventListeners(abort.signal, 'abort').length, 0);
  const values = latest.watch();
  await values.next();
  const both = [values.next(), values.next()];
  latest.set(2);
  latest.close();
  const [first, second] = await Promise.all(both);
  t.is(first?.value, 2);
  t.true(second?.done);
});

test('a listener that takes itself off does not starve the ones after it', (t) => {
  const latest = new Latest(1);
  const seen: string[] = [];
  const off = latest.subscribe(() => {
    seen.push('once');
    off();
  });
  latest.subscribe(() => seen.push('always'));
  latest.set(2);
  latest.set(3);
  t.deepEqual(seen, ['once', 'always', 'always']);
});
