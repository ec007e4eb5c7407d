import test from 'ava';
import { StoreError } from '../store-error.ts';
import type { WatchBatch } from '../store.ts';
import { Feed } from './feed.ts';

const limits = { events: 5, bytes: 100 };

function batch(revision: bigint, events = 1): WatchBatch {
  const event = { type: 'delete', key: 'k', modRevision: revision } as const;
  return { revision, events: Array.from({ length: events }, () => event) };
}

const broken = new StoreError('unreachable', 'transient', 'The stream broke');

function counted(): { readonly feed: Feed; readonly done: () => number } {
  let count = 0;
  const feed = new Feed(limits, () => {
    count += 1;
  });
  return { feed, done: () => count };
}

test('batches come in order, whether the reader or the batch was first', async (t) => {
  const { feed } = counted();
  const early = feed.next();
  feed.push(batch(1n), 10);
  feed.push(batch(2n), 10);
  t.deepEqual(await early, { done: false, value: batch(1n) });
  t.deepEqual(await feed.next(), { done: false, value: batch(2n) });
});

test('what came before the end is delivered before the error, which is thrown once', async (t) => {
  const { feed, done } = counted();
  feed.push(batch(1n), 10);
  feed.fail(broken);
  feed.push(batch(2n), 10);
  t.is(done(), 1);
  t.deepEqual(await feed.next(), { done: false, value: batch(1n) });
  t.is(await t.throwsAsync(feed.next()), broken);
  t.deepEqual(await feed.next(), { done: true, value: undefined });
});

test('a reader who waits is told of the end at once', async (t) => {
  const { feed } = counted();
  const waiting = feed.next();
  feed.fail(broken);
  t.is(await t.throwsAsync(waiting), broken);
  t.deepEqual(await feed.next(), { done: true, value: undefined });
});

test('a reader who leaves ends the feed, once, even while a batch is awaited', async (t) => {
  const { feed, done } = counted();
  const waiting = feed.next();
  await feed.return();
  await feed.return();
  feed.fail(broken);
  t.deepEqual(await waiting, { done: true, value: undefined });
  t.deepEqual(await feed.next(), { done: true, value: undefined });
  t.is(done(), 1);
});

test('a reader who falls behind by too many events or bytes gets what was held, then an error that is worth repeating', async (t) => {
  for (const [events, bytes] of [
    [3, 10],
    [1, 60],
  ] as const) {
    const { feed, done } = counted();
    feed.push(batch(1n, events), bytes);
    t.is(done(), 0);
    feed.push(batch(2n, events), bytes);
    t.is(done(), 1);
    t.is((await feed.next()).value?.revision, 1n);
    t.is((await feed.next()).value?.revision, 2n);
    const error = await t.throwsAsync(feed.next(), { instanceOf: StoreError });
    t.deepEqual([error.reason, error.outcome], ['overloaded', 'transient']);
  }
});

test('a single batch is taken however large it is, and a reader who keeps up is never told off', async (t) => {
  const { feed, done } = counted();
  for (let revision = 1n; revision < 20n; revision += 1n) {
    feed.push(batch(revision, 50), 1_000);
    t.is((await feed.next()).value?.revision, revision);
  }
  t.is(done(), 0);
});
