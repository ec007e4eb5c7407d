import test from 'ava';
import { LimitExceededError } from '../errors.ts';
import { Changes } from './changes.ts';

const nothing = (): void => {};
const value = <T>(value: T) => ({ done: false as const, value });
const done = { done: true as const, value: undefined };

test('changes come in their order, whether they were waited for or waited themselves', async (t) => {
  const changes = new Changes<number>(10, nothing);
  const early = [changes.next(), changes.next()];
  changes.push([1, 2, 3]);
  changes.push([4]);
  t.deepEqual(await Promise.all(early), [value(1), value(2)]);
  t.deepEqual([await changes.next(), await changes.next()], [value(3), value(4)]);
});

test('what waits is still taken after a close, and then the sequence is done', async (t) => {
  let ends = 0;
  const changes = new Changes<number>(10, () => (ends += 1));
  changes.push([1]);
  changes.close();
  changes.close();
  changes.push([2]);
  t.deepEqual([await changes.next(), await changes.next(), await changes.next()], [value(1), done, done]);
  t.is(ends, 1);
});

test('an abort rejects the first read that waits, drops what waits, and leaves the others done', async (t) => {
  const reason = new Error('enough');
  const controller = new AbortController();
  const changes = new Changes<number>(10, nothing, controller.signal);
  const [first, second] = [changes.next(), changes.next()];
  controller.abort(reason);
  t.is(await t.throwsAsync(first), reason);
  t.deepEqual([await second, await changes.next()], [done, done]);
  const late = new Changes<number>(10, nothing, controller.signal);
  t.is(await t.throwsAsync(late.next()), reason);
});

test('a reader that breaks off ends its own waiting reads', async (t) => {
  const changes = new Changes<number>(10, nothing);
  const read = changes.next();
  t.deepEqual([await changes.return(), await read], [done, done]);
});

test('a reader that falls further behind than the limit is told so once', async (t) => {
  const changes = new Changes<number>(2, nothing);
  changes.push([1, 2]);
  changes.push([3]);
  await t.throwsAsync(changes.next(), { instanceOf: LimitExceededError });
  t.deepEqual(await changes.next(), done);
});

test('as many changes at once as a large listing has are refused by the limit and not by the stack', async (t) => {
  const changes = new Changes<number>(10_000, nothing);
  changes.push(Array.from({ length: 1_000_000 }, (_, index) => index));
  await t.throwsAsync(changes.next(), { instanceOf: LimitExceededError });
});

test('a sequence of states keeps the newest for a reader that is too slow', async (t) => {
  const changes = new Changes<number>(2, nothing, undefined, 'keep-newest');
  changes.push([1, 2]);
  changes.push([3]);
  changes.push([4]);
  t.deepEqual([await changes.next(), await changes.next()], [value(3), value(4)]);
});
