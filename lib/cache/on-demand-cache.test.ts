import test from 'ava';
import {
  AccessDeniedError,
  ClosedError,
  CoordinationUnavailableError,
  TooStaleError,
  VersionConflictError,
} from '../errors.ts';
import type { Call } from '../store/memory/call.ts';
import type { MemoryStore } from '../store/memory/memory-store.ts';
import { StoreError } from '../store/store-error.ts';
import { VirtualWorld } from '../testing/virtual-world.ts';
import type { CacheOptions, OnDemandCacheOptions } from './cache-options.ts';
import type { CacheChange } from './cache.ts';

const root = 'test/cache/users/';

async function opened(options: Omit<OnDemandCacheOptions, 'keys'> = {}) {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const cache = coordinator.cache('users/', { keys: 'on-demand', ...options });
  return { world, coordinator, store, cache };
}

/** How many keys of the cache the store was asked for, one by one or in a transaction. */
function counted(store: MemoryStore): { readonly calls: () => number; readonly ranges: () => number } {
  let calls = 0;
  let ranges = 0;
  store.faults.onRequest((call) => {
    const asked = rangesOf(call);
    if (asked > 0) calls += 1;
    ranges += asked;
    return undefined;
  });
  return { calls: () => calls, ranges: () => ranges };
}

function rangesOf(call: Call): number {
  if (call.method === 'range') return 1;
  if (call.method !== 'transact' || call.transaction.compare.length > 0) return 0;
  return call.transaction.then.filter(({ type }) => type === 'range').length;
}

const delayed = (store: MemoryStore, ms: number) =>
  store.faults.onRequest((call) => (rangesOf(call) > 0 ? { delayMs: ms } : undefined));

function collect(sequence: AsyncIterable<CacheChange>): { readonly seen: string[]; readonly done: Promise<unknown> } {
  const seen: string[] = [];
  const done = (async () => {
    for await (const change of sequence) {
      const told = change.type === 'put' ? `${change.key}=${change.value}` : `-${change.key}`;
      seen.push(change.resynced === true ? `${told}!` : told);
    }
  })().catch((error: unknown) => error);
  return { seen, done };
}

test('get does no I/O and loads nothing; read does, and from then on get follows the store', async (t) => {
  const { world, store, cache } = await opened();
  world.cluster.put(`${root}ann`, '1');
  const asked = counted(store);
  t.is(cache.get('ann'), undefined);
  await world.advance(100);
  t.is(asked.calls(), 0);
  t.is((await world.settle(cache.read('ann')))?.value, '1');
  await world.advance(10);
  t.is(asked.calls(), 2, 'the key, and once its watch is open that it is of the same history');
  world.cluster.put(`${root}ann`, '2');
  await world.advance(10);
  t.is(cache.get('ann')?.value, '2');
  t.is(cache.get('ann')?.source, 'live');
  t.is((await world.settle(cache.read('ann')))?.value, '2');
  t.is(asked.calls(), 2);
  const { entries, hits, misses } = cache.stats();
  t.deepEqual({ entries, hits, misses }, { entries: 1, hits: 3, misses: 2 });
});

test('ten reads of a missing key at once are one range and one watch', async (t) => {
  const { world, store, cache } = await opened();
  world.cluster.put(`${root}ann`, '1');
  const asked = counted(store);
  const watches = world.cluster.openWatches;
  const entries = await world.settle(Promise.all(Array.from({ length: 10 }, () => cache.read('ann'))));
  t.true(entries.every((entry) => entry?.value === '1'));
  await world.advance(10);
  t.is(asked.ranges(), 2, 'the key, and the check of its watch');
  t.is(world.cluster.openWatches, watches + 1);
});

test('reads of many keys at once travel together', async (t) => {
  const { world, store, cache } = await opened();
  const keys = Array.from({ length: 250 }, (_, index) => `u${index}`);
  for (const key of keys) world.cluster.put(`${root}${key}`, key);
  const asked = counted(store);
  const entries = await world.settle(Promise.all(keys.map((key) => cache.read(key))));
  t.deepEqual(
    entries.map((entry) => entry?.value),
    keys,
  );
  await world.advance(10);
  t.is(asked.ranges(), 500, 'the keys, and the checks of their watches');
  t.true(asked.calls() <= 16 + 3, `${asked.calls()} calls`);
});

test('that a key is absent is kept and followed as well', async (t) => {
  const { world, store, cache } = await opened();
  const asked = counted(store);
  t.is(await world.settle(cache.read('bob')), undefined);
  t.is(await world.settle(cache.read('bob')), undefined);
  await world.advance(10);
  t.is(asked.ranges(), 2);
  t.is(cache.stats().entries, 1);
  t.is(cache.stats().hits, 1);
  world.cluster.put(`${root}bob`, '1');
  await world.advance(10);
  t.is(cache.get('bob')?.value, '1');
  world.cluster.delete(`${root}bob`);
  await world.advance(10);
  t.is(cache.get('bob'), undefined);
  t.is(asked.ranges(), 2);
});

test('beyond max the key that was used longest ago goes, and its watch with it', async (t) => {
  const { world, cache } = await opened({ max: 2 });
  const before = world.cluster.openWatches;
  for (const key of ['a', 'b']) await world.settle(cache.put(key, key));
  for (const key of ['a', 'b']) await world.settle(cache.read(key));
  cache.get('a');
  await world.settle(cache.read('c'));
  await world.advance(10);
  t.is(world.cluster.openWatches, before + 2);
  t.is(cache.get('a')?.value, 'a');
  t.is(cache.get('b'), undefined);
  t.is(cache.stats().evictions, 1);
  t.is(cache.stats().entries, 2);
});

test('beyond maxBytes keys go, also when a value grows', async (t) => {
  const { world, cache } = await opened({ maxBytes: 1_000 });
  for (const key of ['a', 'b', 'c']) {
    world.cluster.put(`${root}${key}`, 'x'.repeat(100));
    await world.settle(cache.read(key));
  }
  t.is(cache.stats().entries, 3);
  world.cluster.put(`${root}c`, 'x'.repeat(300));
  await world.advance(10);
  t.is(cache.get('a'), undefined);
  t.is(cache.get('b')?.value.length, 100);
  cache.get('c');
  world.cluster.put(`${root}c`, 'x'.repeat(3_000));
  await world.advance(10);
  t.is(cache.stats().entries, 1);
  t.is(cache.get('c')?.value.length, 3_000, 'the one that is in use stays, however large');
  world.cluster.delete(`${root}c`);
  await world.advance(10);
  for (const key of ['a', 'b']) await world.settle(cache.read(key));
  t.is(cache.stats().entries, 3);
  t.is(cache.stats().evictions, 2);
});

test('a key that is evicted while somebody waits for it still answers', async (t) => {
  const { world, store, cache } = await opened({ max: 1 });
  for (const key of ['a', 'b', 'c']) world.cluster.put(`${root}${key}`, key);
  delayed(store, 100);
  const entries = await world.settle(Promise.all(['a', 'b', 'c'].map((key) => cache.read(key))));
  t.deepEqual(
    entries.map((entry) => entry?.value),
    ['a', 'b', 'c'],
  );
  t.is(cache.stats().entries, 1);

  await world.settle(cache.read('a'));
  const waiting = cache.read('a', { minRevision: world.cluster.revision + 2n });
  await world.settle(cache.read('b'));
  t.is(cache.get('a'), undefined);
  world.cluster.put(`${root}x`, '');
  world.cluster.put(`${root}a`, 'new');
  t.is((await world.settle(waiting))?.value, 'new');
});

test('a cache sees its own writes, of a key that is kept and of one that is being loaded', async (t) => {
  const { world, store, cache } = await opened();
  await world.settle(cache.put('ann', '1', { ifRevision: 0n }));
  t.is(cache.get('ann'), undefined, 'a key that nobody has read is not kept');
  t.is((await world.settle(cache.read('ann')))?.value, '1');
  await world.settle(cache.put('ann', '2'));
  t.is(cache.get('ann')?.value, '2');
  await t.throwsAsync(world.settle(cache.put('ann', '3', { ifRevision: 1n })), {
    instanceOf: VersionConflictError,
  });
  await world.settle(cache.delete('ann'));
  t.is(cache.get('ann'), undefined);
  t.is(cache.stats().entries, 1);

  /* The list is answered with what was before the put, and the watch is slow. */
  store.faults.onResponse((call) => (rangesOf(call) > 0 ? { delayMs: 50 } : undefined));
  store.faults.onWatch((request, { events }) =>
    'key' in request.span && request.span.key === `${root}bob` && events.length > 0 ? { delayMs: 200 } : undefined,
  );
  const reading = cache.read('bob');
  await world.settle(cache.put('bob', '1'));
  t.is(cache.get('bob')?.value, '1');
  await world.settle(reading);
});

test('a linearizable read sees what was written just before, kept or not, though the watch is silent', async (t) => {
  const { world, store, cache } = await opened();
  await world.settle(cache.read('ann'));
  store.faults.onWatch((_, { events }) => (events.length > 0 ? { delayMs: 500 } : undefined));
  world.cluster.put(`${root}ann`, '1');
  await world.advance(10);
  t.is(cache.get('ann'), undefined);
  t.is((await world.settle(cache.read('ann', { consistency: 'linearizable' })))?.value, '1');
  world.cluster.put(`${root}bob`, '1');
  t.is((await world.settle(cache.read('bob', { consistency: 'linearizable' })))?.value, '1');
});

test('a load that nobody answers fails by its deadline and leaves nothing behind', async (t) => {
  const { world, store, cache } = await opened();
  await world.settle(cache.read('kept'));
  await world.advance(10);
  const watches = world.cluster.openWatches;
  const undo = store.faults.onRequest((call) => (rangesOf(call) > 0 ? 'drop' : undefined));
  const startedMs = world.runtime.clock.now().monotonicMs;
  await t.throwsAsync(world.settle(cache.read('ann')), { instanceOf: CoordinationUnavailableError });
  t.true(world.runtime.clock.now().monotonicMs - startedMs <= 6_250);
  t.is(cache.stats().entries, 1);
  undo();
  const asked = counted(store);
  await world.advance(100);
  t.true(asked.ranges() <= 1, 'only the proof of the key that is kept');
  world.cluster.put(`${root}ann`, '1');
  t.is((await world.settle(cache.read('ann'), 100))?.value, '1');
  await world.advance(10);
  t.is(world.cluster.openWatches, watches + 1);
});

test('a load that is refused says so, for itself alone, and the next one asks anew', async (t) => {
  const { world, store, cache } = await opened();
  const refused = new StoreError('denied', 'permanent', 'etcdserver: permission denied');
  const mend = store.faults.onRequest((call) => {
    const isHers = (request: object): boolean => 'key' in request && request.key === `${root}eve`;
    if (call.method === 'range') return isHers(call.range) ? { refuseWith: refused } : undefined;
    if (call.method !== 'transact') return undefined;
    return call.transaction.then.some(isHers) ? { refuseWith: refused } : undefined;
  });
  world.cluster.put(`${root}ann`, '1');
  const [ann, eve, bob] = await world.settle(
    Promise.allSettled([cache.read('ann'), cache.read('eve'), cache.read('bob')]),
  );
  t.is(ann.status === 'fulfilled' ? ann.value?.value : undefined, '1');
  t.is(bob.status, 'fulfilled');
  t.true(eve.status === 'rejected' && eve.reason instanceof AccessDeniedError);
  mend();
  t.is(await world.settle(cache.read('eve'), 100), undefined);
});

test('one reader who gives up does not take the load from another', async (t) => {
  const { world, store, cache } = await opened();
  world.cluster.put(`${root}ann`, '1');
  delayed(store, 100);
  const impatient = new AbortController();
  const first = cache.read('ann', { signal: impatient.signal });
  const second = cache.read('ann');
  await world.advance(10);
  impatient.abort(new Error('no longer'));
  await t.throwsAsync(first, { message: 'no longer' });
  t.is((await world.settle(second))?.value, '1');
  await t.throwsAsync(cache.read('ann', { signal: AbortSignal.abort(new Error('no')) }), { message: 'no' });
});

test('while degraded what is kept is served with its age, and what is not is refused at once', async (t) => {
  const { world, coordinator, store, cache } = await opened();
  await world.settle(cache.put('ann', '1'));
  await world.settle(cache.read('ann'));
  await world.settle(cache.read('bob'));
  const heal = store.faults.cutOff();
  await world.advance(20_000);
  t.is(coordinator.health.state, 'degraded');
  const entry = cache.get('ann');
  t.is(entry?.value, '1');
  t.is(entry?.source, 'stale');
  t.true((entry?.ageMs ?? 0) >= 20_000);
  t.is(await cache.read('bob'), undefined);
  t.true(cache.stats().ageMs >= 20_000);
  const error = await t.throwsAsync(cache.read('cid'), { instanceOf: CoordinationUnavailableError });
  t.regex(error.message, /Nothing was sent/);
  await t.throwsAsync(cache.put('cid', '1'), { instanceOf: CoordinationUnavailableError });
  heal();
  await world.advance(10_000);
  t.is(cache.get('ann')?.source, 'live');
  t.is(await world.settle(cache.read('cid')), undefined);
});

test('a strict cache throws what is too old, key by key, absence as well', async (t) => {
  const { world, store, cache } = await opened({ onStale: 'throw', maxStalenessMs: 10_000 });
  await world.settle(cache.put('ann', '1'));
  await world.settle(cache.read('ann'));
  await world.settle(cache.read('bob'));
  /* Her proofs are lost; everything else is answered. */
  const isHers = (request: object): boolean => 'key' in request && request.key === `${root}ann`;
  const mend = store.faults.onRequest((call) =>
    (call.method === 'range' && isHers(call.range)) ||
    (call.method === 'transact' && call.transaction.then.some(isHers))
      ? 'drop'
      : undefined,
  );
  await world.advance(15_000);
  t.throws(() => cache.get('ann'), { instanceOf: TooStaleError });
  t.notThrows(() => cache.get('bob'));
  t.is(cache.get('cid'), undefined);
  mend();
  await world.advance(15_000);
  t.is(cache.get('ann')?.value, '1');
  store.faults.cutOff();
  await world.advance(15_000);
  t.throws(() => cache.get('bob'), { instanceOf: TooStaleError });
  await t.throwsAsync(cache.read('bob'), { instanceOf: TooStaleError });
});

test('watch tells the changes of kept keys in order, neither loads nor evictions, and a resync is announced', async (t) => {
  const { world, store, cache } = await opened({ max: 2 });
  const { seen, done } = collect(cache.watch());
  world.cluster.put(`${root}a`, '1');
  await world.settle(cache.read('a'));
  await world.settle(cache.read('b'));
  for (const value of ['2', '3']) world.cluster.put(`${root}a`, value);
  world.cluster.put(`${root}b`, '1');
  world.cluster.delete(`${root}b`);
  await world.advance(10);
  t.deepEqual(
    seen.filter((change) => change.includes('a')),
    ['a=2', 'a=3'],
  );
  t.deepEqual(
    seen.filter((change) => change.includes('b')),
    ['b=1', '-b'],
  );
  seen.length = 0;
  cache.get('a');
  await world.settle(cache.read('c'));
  world.cluster.put(`${root}b`, 'unseen');
  await world.advance(10);
  t.deepEqual(seen, []);

  const heal = store.faults.cutOff();
  store.faults.disconnectWatches();
  world.cluster.delete(`${root}a`);
  world.cluster.put(`${root}b`, 'unseen');
  world.cluster.compact();
  heal();
  await world.advance(10_000);
  t.deepEqual(seen, ['-a!']);
  t.true(cache.stats().resyncs >= 1);
  await world.settle(cache.close());
  t.is(await done, undefined);
});

test('keys that did not change resume over a compaction without a resync', async (t) => {
  const { world, store, cache } = await opened();
  world.cluster.put(`${root}a`, '1');
  await world.settle(cache.read('a'));
  const { seen } = collect(cache.watch());
  const heal = store.faults.cutOff();
  store.faults.disconnectWatches();
  for (let index = 0; index < 5; index += 1) world.cluster.put('other', String(index));
  world.cluster.compact();
  await world.advance(1_000);
  heal();
  await world.advance(10_000);
  t.is(cache.stats().resyncs, 0);
  world.cluster.put(`${root}a`, '2');
  await world.advance(10);
  t.deepEqual(seen, ['a=2']);
});

test('a store that was restored is listed again and announced, though it holds newer writes', async (t) => {
  const { world, cache } = await opened();
  const snapshot = world.cluster.snapshot();
  world.cluster.put(`${root}a`, 'lost');
  await world.settle(cache.read('a'));
  const { seen } = collect(cache.watch());
  world.cluster.restore(snapshot);
  for (let index = 0; index < 20; index += 1) world.cluster.put('other', String(index));
  await world.advance(20_000);
  t.is(cache.get('a'), undefined);
  t.deepEqual(seen, ['-a!']);
});

test('the proofs of 250 keys are a few transactions, and each key is live', async (t) => {
  const { world, store, cache } = await opened();
  const keys = Array.from({ length: 250 }, (_, index) => `u${index}`);
  await world.settle(Promise.all(keys.map((key) => cache.read(key))));
  const asked = counted(store);
  await world.advance(25_000);
  /* Five rounds over a tenth of the interval before and after it, in windows of a fiftieth. */
  t.true(asked.ranges() >= 250 * 4, `${asked.ranges()} proofs`);
  t.true(asked.calls() <= 5 * 20, `${asked.calls()} calls`);
  t.true(cache.stats().ageMs <= 5_000 * 1.1 + 101);
  for (const key of keys) t.is(cache.get(key), undefined);
  t.is(cache.stats().entries, 250);
});

test('a group of proofs that fails is tried again, and ages grow meanwhile', async (t) => {
  const { world, store, cache } = await opened();
  const keys = Array.from({ length: 20 }, (_, index) => `u${index}`);
  for (const key of keys) world.cluster.put(`${root}${key}`, '1');
  await world.settle(Promise.all(keys.map((key) => cache.read(key))));
  const mend = store.faults.onRequest((call) => (rangesOf(call) > 0 ? 'refuse' : undefined));
  await world.advance(12_000);
  for (const key of keys) t.is(cache.get(key)?.source, 'stale');
  mend();
  await world.advance(6_000);
  for (const key of keys) t.is(cache.get(key)?.source, 'live');
});

test('a thousand keys that are listed again are a few lines in the log', async (t) => {
  const { world, store, cache } = await opened();
  const keys = Array.from({ length: 1_000 }, (_, index) => `u${index}`);
  await world.settle(Promise.all(keys.map((key) => cache.read(key))));
  const heal = store.faults.cutOff();
  store.faults.disconnectWatches();
  world.cluster.put('other', '1');
  world.cluster.put('other', '2');
  world.cluster.compact();
  heal();
  await world.advance(10_000);
  t.is(cache.stats().resyncs, 1_000);
  const lines = world.runtime.logger.of('replica.resync');
  t.true(lines.length <= 6, `${lines.length} lines`);
  t.true(lines.some(({ fields }) => Number(fields['count']) > 100));
});

test('a thousand keys that have not changed resume by a few calls', async (t) => {
  const { world, store, cache } = await opened();
  const keys = Array.from({ length: 1_000 }, (_, index) => `u${index}`);
  for (const key of keys) world.cluster.put(`${root}${key}`, '1');
  await world.settle(Promise.all(keys.map((key) => cache.read(key))));
  const asked = counted(store);
  store.faults.disconnectWatches();
  await world.advance(1_000);
  t.true(asked.ranges() >= 1_000);
  t.true(asked.calls() <= 60, `${asked.calls()} calls`);
  world.cluster.put(`${root}u7`, '2');
  await world.advance(10);
  t.is(cache.get('u7')?.value, '2');
});

test('a closed cache is readable, loads nothing, and leaves neither watch nor timer', async (t) => {
  const { world, coordinator, store, cache } = await opened();
  const before = world.cluster.openWatches;
  await world.settle(cache.put('ann', '1'));
  await world.settle(cache.read('ann'));
  store.faults.onRequest((call) => (rangesOf(call) > 0 ? 'drop' : undefined));
  const pending = cache.read('bob');
  const watcher = cache.watch();
  await world.advance(10);
  await world.settle(cache.close(), 100);
  await t.throwsAsync(pending, { instanceOf: ClosedError });
  t.true((await watcher.next()).done);
  t.is(world.cluster.openWatches, before);
  t.is(cache.get('ann')?.value, '1');
  await t.throwsAsync(cache.read('ann'), { instanceOf: ClosedError });
  await t.throwsAsync(cache.ready(), { instanceOf: ClosedError });
  await world.settle(coordinator.close());
  t.is(world.cluster.openWatches, 0);
  t.is(world.runtime.clock.pendingTimers, 0);
});

test('a coordinator that closes leaves neither watch nor timer of the keys that are kept', async (t) => {
  const { world, coordinator, cache } = await opened();
  await world.settle(Promise.all(['a', 'b', 'c'].map((key) => cache.read(key))));
  await world.advance(4_555);
  await world.settle(coordinator.close());
  t.is(world.cluster.openWatches, 0);
  t.is(world.runtime.clock.pendingTimers, 0);
});

test('nothing is written to the snapshots, and ready needs no store', async (t) => {
  const world = new VirtualWorld();
  const written: string[] = [];
  const files = {
    read: () => undefined,
    replace: async (file: string) => void written.push(file),
    setAside: () => undefined,
  };
  const { coordinator, store } = world.start({ snapshotDir: '/snapshots' }, files);
  const cache = coordinator.cache('users/', { keys: 'on-demand' });
  const heal = store.faults.cutOff();
  await world.settle(cache.ready(), 10);
  heal();
  await world.settle(cache.read('ann'));
  await world.settle(cache.put('ann', '1'));
  await world.advance(5_000);
  await world.settle(coordinator.close());
  t.deepEqual(written, []);
});

const wrong: readonly [string, RegExp, object][] = [
  ['max without on-demand', /max/, { max: 5 }],
  ['maxEntries with on-demand', /maxEntries/, { keys: 'on-demand', maxEntries: 5 }],
  ['an unknown kind of keys', /keys/, { keys: 'some' }],
];
for (const [what, message, options] of wrong) {
  test(`${what} is refused by name`, (t) => {
    const { coordinator } = new VirtualWorld().start();
    t.throws(() => coordinator.cache('a/', options as CacheOptions), { instanceOf: TypeError, message });
  });
}

test('a limit that is none is refused', async (t) => {
  const { coordinator } = new VirtualWorld().start();
  for (const max of [0, -1, 1.5, Number.NaN, 1e9]) {
    t.throws(() => coordinator.cache('a/', { keys: 'on-demand', max }), { instanceOf: RangeError, message: /max/ });
  }
  await t.throwsAsync(coordinator.cache('a/', { keys: 'on-demand' }).read('\u{d800}'), { instanceOf: TypeError });
});
