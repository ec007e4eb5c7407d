import test from 'ava';
import {
  CoordinationUnavailableError,
  LimitExceededError,
  OutcomeUnknownError,
  TooStaleError,
  VersionConflictError,
} from '../errors.ts';
import { VirtualWorld } from '../testing/virtual-world.ts';
import type { CacheOptions } from './cache-options.ts';
import type { CacheChange } from './cache.ts';

async function ready(options: CacheOptions = {}) {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const cache = coordinator.cache('routes/', options);
  await world.settle(cache.ready());
  return { world, coordinator, store, cache };
}

function collect<T>(sequence: AsyncIterable<T>): { readonly seen: T[]; readonly done: Promise<unknown> } {
  const seen: T[] = [];
  const done = (async () => {
    for await (const each of sequence) seen.push(each);
  })().catch((error: unknown) => error);
  return { seen, done };
}

test('a cache sees its own write when put resolves', async (t) => {
  const { world, cache } = await ready();
  t.is(cache.get('eu'), undefined);
  await world.settle(cache.put('eu', 'http://one'));
  t.is(cache.get('eu')?.value, 'http://one');
  t.is(cache.get('eu')?.source, 'live');
  await world.settle(cache.delete('eu'));
  t.is(cache.get('eu'), undefined);
  await world.settle(cache.delete('eu'), 100);
});

test('get makes no call, and gives the same object until the value changes', async (t) => {
  const { world, store, cache } = await ready();
  await world.settle(cache.put('eu', '1'));
  store.faults.onRequest((call) => {
    t.fail(`${call.method} was called`);
    return undefined;
  });
  t.is(cache.get('eu'), cache.get('eu'));
  t.is(cache.stats().hits, 2);
});

test('names that look like paths or are no ASCII keep apart', async (t) => {
  const { world, cache } = await ready();
  for (const key of ['a', 'a/b', 'ä', 'a%2Fb', ' ']) await world.settle(cache.put(key, key));
  for (const key of ['a', 'a/b', 'ä', 'a%2Fb', ' ']) t.is(cache.get(key)?.value, key);
  t.is(cache.stats().entries, 5);
});

test('ifRevision compares the last write, and 0n that there is none', async (t) => {
  const { world, cache } = await ready();
  await world.settle(cache.put('eu', '1', { ifRevision: 0n }));
  await t.throwsAsync(world.settle(cache.put('eu', '2', { ifRevision: 0n })), { instanceOf: VersionConflictError });
  const revision = cache.get('eu')?.revision ?? 0n;
  await world.settle(cache.put('eu', '2', { ifRevision: revision }));
  await t.throwsAsync(world.settle(cache.delete('eu', { ifRevision: revision })), { instanceOf: VersionConflictError });
  t.is(cache.get('eu')?.value, '2');
});

test('a compare-and-set whose answer was lost recognises its own success', async (t) => {
  const { world, store, cache } = await ready();
  store.faults.nextResponse('transact', 'drop');
  await world.settle(cache.put('eu', '1', { ifRevision: 0n }));
  t.is(cache.get('eu')?.value, '1');
  t.is(world.cluster.get('test/cache/routes/eu')?.version, 1n);
});

test('a plain put whose answer was lost is written once', async (t) => {
  const { world, store, cache } = await ready();
  store.faults.nextResponse('transact', 'drop');
  await world.settle(cache.put('eu', '1'));
  t.is(world.cluster.get('test/cache/routes/eu')?.version, 1n);
});

test('a put that was parked and done again is not applied a second time', async (t) => {
  const { world, store, cache } = await ready();
  store.faults.nextRequest('transact', 'park');
  await world.settle(cache.put('eu', '1', { ifRevision: 0n }));
  await world.settle(cache.delete('eu'));
  t.is(store.faults.releaseParked(), 1);
  await world.advance(100);
  t.is(cache.get('eu'), undefined);
});

test('a put that nobody answers in time is of unknown outcome, and one that was not sent is not', async (t) => {
  const { world, store, cache } = await ready();
  store.faults.cutOff();
  await t.throwsAsync(world.settle(cache.put('eu', '1')), { instanceOf: OutcomeUnknownError });
  await t.throwsAsync(cache.put('eu', '1', { signal: AbortSignal.abort(new Error('no')) }), { message: 'no' });
  await world.advance(5_000);
  const error = await t.throwsAsync(cache.put('eu', '1'), { instanceOf: CoordinationUnavailableError });
  t.regex(error.message, /nothing is queued/);
});

test('a write that its caller gave up on is settled before the next one, which it cannot overtake', async (t) => {
  const { world, store, cache } = await ready();
  store.faults.nextRequest('transact', 'park');
  const gaveUp = new AbortController();
  const first = cache.put('eu', 'old', { signal: gaveUp.signal });
  await world.advance(10);
  gaveUp.abort(new Error('no longer'));
  await t.throwsAsync(first, { instanceOf: OutcomeUnknownError });
  await world.settle(cache.put('eu', 'new'));
  t.is(store.faults.releaseParked(), 1);
  await world.advance(100);
  t.is(cache.get('eu')?.value, 'new');
});

test('the put by which etcd’s space quota is exceeded is there, whatever etcd says, and the next one is refused', async (t) => {
  const { world, cache } = await ready();
  world.cluster.exceedQuota({ takesOneMore: true });
  await world.settle(cache.put('eu', '1'));
  t.is(cache.get('eu')?.value, '1');
  const error = await world.settle(t.throwsAsync(cache.put('eu', '2'), { instanceOf: CoordinationUnavailableError }));
  t.regex(error?.message ?? '', /space quota/);
  t.is(world.cluster.get('test/cache/routes/eu')?.value, '1');
});

test('while etcd is away values are served with their age, and turn stale', async (t) => {
  const { world, store, cache } = await ready();
  await world.settle(cache.put('eu', '1'));
  store.faults.cutOff();
  await world.advance(60_000);
  const entry = cache.get('eu');
  t.is(entry?.value, '1');
  t.is(entry?.source, 'stale');
  t.true((entry?.ageMs ?? 0) >= 60_000);
});

test('a strict cache throws what is too old', async (t) => {
  const { world, store, cache } = await ready({ onStale: 'throw', maxStalenessMs: 10_000 });
  await world.settle(cache.put('eu', '1'));
  t.is(cache.get('eu')?.value, '1');
  const heal = store.faults.cutOff();
  await world.advance(20_000);
  t.throws(() => cache.get('eu'), { instanceOf: TooStaleError });
  heal();
  await world.advance(15_000);
  t.is(cache.get('eu')?.value, '1');
});

test('a linearizable read sees what another process wrote just before, though the watch is silent', async (t) => {
  const { world, store, cache } = await ready();
  const other = (await world.connect()).coordinator.cache('routes/');
  await world.settle(other.ready());
  store.faults.onWatch((_, batch) => (batch.events.length > 0 ? { delayMs: 500 } : undefined));
  await world.settle(other.put('eu', '1'));
  t.is(cache.get('eu'), undefined);
  const entry = await world.settle(cache.read('eu', { consistency: 'linearizable' }));
  t.is(entry?.value, '1');
});

test('what was proved to be over is not shown again by events that come late', async (t) => {
  const { world, store, cache } = await ready();
  const { seen } = collect<CacheChange>(cache.watch());
  await world.settle(cache.put('stays', '1'));
  const late = [800, 900, 1_000];
  store.faults.onWatch((_, batch) => (batch.events.length > 0 ? { delayMs: late.shift() ?? 0 } : undefined));
  world.cluster.put('test/cache/routes/eu', '1');
  world.cluster.put('test/cache/routes/eu', '2');
  world.cluster.delete('test/cache/routes/eu');
  const { revision } = world.cluster;
  t.is(await world.settle(cache.read('eu', { consistency: 'linearizable' })), undefined);
  t.true(cache.stats().revision >= revision);
  for (let step = 0; step < 120; step += 1) {
    await world.advance(10);
    t.is(cache.get('eu'), undefined);
  }
  t.deepEqual(
    seen.slice(1).map(({ type, key }) => `${type} ${key}`),
    ['put eu', 'put eu', 'delete eu'],
  );
  await world.settle(cache.put('eu', '3'));
  t.is(seen.at(-1)?.type, 'put');
});

test('a read before anything is known waits for the first list, and does not take absence for granted', async (t) => {
  const world = new VirtualWorld();
  world.cluster.put('test/cache/routes/eu', '1');
  const { coordinator, store } = await world.connect();
  const heal = store.faults.cutOff();
  const cache = coordinator.cache('routes/');
  await t.throwsAsync(world.settle(cache.read('eu')), { message: /Could not read "eu" .* etcd did not answer/ });
  heal();
  t.is((await world.settle(coordinator.cache('routes/').read('eu')))?.value, '1');
});

test('a read of a revision that does not come says how far it is', async (t) => {
  const { world, cache } = await ready();
  const revision = world.cluster.revision + 1_000n;
  const error = await t.throwsAsync(world.settle(cache.read('eu', { minRevision: revision })), {
    instanceOf: CoordinationUnavailableError,
  });
  t.regex(error.message, new RegExp(`${revision} was asked for, and \\d+ is known`));
});

test('a read of a revision waits for it', async (t) => {
  const { world, cache } = await ready();
  world.cluster.put('test/cache/routes/eu', '1');
  const entry = await world.settle(cache.read('eu', { minRevision: world.cluster.revision }));
  t.is(entry?.value, '1');
});

test('a watcher gets every change in order, and a resync is announced', async (t) => {
  const { world, store, cache } = await ready();
  const { seen, done } = collect<CacheChange>(cache.watch());
  await world.settle(cache.put('a', '1'));
  await world.settle(cache.put('b', '1'));
  await world.settle(cache.delete('a'));
  t.deepEqual(
    seen.map((change) => (change.type === 'put' ? `${change.key}=${change.value}` : `-${change.key}`)),
    ['a=1', 'b=1', '-a'],
  );
  const heal = store.faults.cutOff();
  store.faults.disconnectWatches();
  world.cluster.delete('test/cache/routes/b');
  world.cluster.compact();
  heal();
  await world.advance(10_000);
  const last = seen.at(-1);
  t.is(last?.type, 'delete');
  t.is(last?.resynced, true);
  await world.settle(cache.close());
  t.is(await done, undefined);
});

test('a watcher that falls too far behind is told so instead of being remembered without bound', async (t) => {
  const { world, cache } = await ready();
  const slow = cache.watch();
  for (let index = 0; index < 10_001; index += 1) world.cluster.put('test/cache/routes/a', String(index));
  await world.advance(1_000);
  await t.throwsAsync(slow.next(), { instanceOf: LimitExceededError });
  t.true((await slow.next()).done);
});

test('watching with a signal that has aborted before rejects the first read with its reason, and is done', async (t) => {
  for (const options of [{}, { keys: 'on-demand' }] as const) {
    const { cache } = await ready(options);
    const reason = new Error('too late');
    const changes = cache.watch({ signal: AbortSignal.abort(reason) });
    t.is(await t.throwsAsync(changes.next()), reason);
    t.true((await changes.next()).done);
  }
});

test('caches of one prefix share one watch, and closing the last ends it', async (t) => {
  const { world, coordinator, cache } = await ready();
  const before = world.cluster.openWatches;
  const second = coordinator.cache('routes/');
  await world.settle(second.ready());
  t.is(world.cluster.openWatches, before);
  await cache.close();
  t.is(world.cluster.openWatches, before);
  await world.settle(second.close());
  t.is(world.cluster.openWatches, before - 1);
});

test('a coordinator that closes leaves neither watch nor timer of its caches', async (t) => {
  const { world, coordinator } = await ready();
  await world.settle(coordinator.close());
  t.is(world.cluster.openWatches, 0);
  t.is(world.runtime.clock.pendingTimers, 0);
  t.deepEqual(world.cluster.entries('test/session'), []);
});

const wrong: readonly [string, CacheOptions][] = [
  ['maxStalenessMs', { maxStalenessMs: 5_000 }],
  ['freshnessMs', { freshnessMs: Number.NaN }],
  ['onStale', { onStale: 'panic' as never }],
  ['an unknown option', { maxAge: 5 } as never],
];
for (const [what, options] of wrong) {
  test(`${what} that cannot work is refused`, (t) => {
    const { coordinator } = new VirtualWorld().start();
    const error = t.throws(() => coordinator.cache('a/', options));
    t.true(error instanceof RangeError || error instanceof TypeError);
  });
}

test('a value over the limit is refused with its size before it is sent', async (t) => {
  const { world, cache } = await ready();
  await t.throwsAsync(world.settle(cache.put('a', 'x'.repeat(2_000_000))), {
    instanceOf: LimitExceededError,
    message: /1500000 .* 2000000/,
  });
});

test('what cannot be a key, or would not be kept as it is, is refused the same by every cache', async (t) => {
  for (const options of [{}, { keys: 'on-demand' }] as const) {
    const { world, cache } = await ready(options);
    const calls: readonly Promise<unknown>[] = [
      cache.read(''),
      cache.read(7 as never),
      cache.put('', '1'),
      cache.put('eu', 'a\ud800'),
    ];
    for (const call of calls) await t.throwsAsync(world.settle(call), { instanceOf: TypeError });
    for (const key of ['', 7, undefined, null]) {
      t.throws(() => cache.get(key as string), { instanceOf: TypeError, message: /key.*got/ });
    }
  }
});

test('a revision that cannot be is refused by the name of its option', async (t) => {
  for (const options of [{}, { keys: 'on-demand' }] as const) {
    const { world, cache } = await ready(options);
    const calls: readonly [Promise<unknown>, RegExp][] = [
      [cache.read('eu', { minRevision: -1n }), /minRevision.*got -1n/],
      [cache.put('eu', '1', { ifRevision: -1n }), /ifRevision.*got -1n/],
      [cache.delete('eu', { ifRevision: -1n }), /ifRevision.*got -1n/],
    ];
    for (const [call, message] of calls) {
      await t.throwsAsync(world.settle(call), { instanceOf: RangeError, message });
    }
    await t.throwsAsync(world.settle(cache.put('eu', '1', { ifRevision: 3 as never })), {
      instanceOf: TypeError,
      message: /ifRevision.*got 3/,
    });
  }
});
