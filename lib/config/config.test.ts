import test from 'ava';
import {
  ConfigInvalidError,
  CoordinationUnavailableError,
  OutcomeUnknownError,
  TooStaleError,
  VersionConflictError,
} from '../errors.ts';
import { VirtualWorld } from '../testing/virtual-world.ts';
import type { StandardSchema } from './schema.ts';

interface Limits {
  readonly perMinute: number;
}

/** A schema by hand: zod's and valibot's have their own test. */
const limitsSchema: StandardSchema<Limits, Limits> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) => {
      const perMinute = (value as Partial<Limits> | null)?.perMinute;
      return typeof perMinute === 'number' && perMinute > 0
        ? { value: { perMinute } }
        : { issues: [{ message: 'must be a positive number', path: ['perMinute'] }] };
    },
  },
};

async function ready() {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect({ instanceId: 'one' });
  const limits = coordinator.config('limits', { schema: limitsSchema });
  await world.settle(limits.ready());
  return { world, coordinator, store, limits };
}

test('versions count 1, 2, 3, and each is seen when set resolves', async (t) => {
  const { world, limits } = await ready();
  t.is(limits.get(), undefined);
  for (const version of [1, 2, 3]) {
    const entry = await world.settle(limits.set({ perMinute: version * 10 }));
    t.is(entry.version, version);
    t.is(limits.get()?.version, version);
    t.is(limits.get()?.value.perMinute, version * 10);
    t.is(limits.get()?.source, 'live');
  }
});

test('without a schema a value is any JSON, for the compiler, too', async (t) => {
  const { world, coordinator } = await ready();
  const anything = coordinator.config('anything');
  await world.settle(anything.set({ list: [1, { two: null }] }));
  const entry = anything.get();
  t.deepEqual(entry?.value, { list: [1, { two: null }] });
});

test('a restored store that has come to the same revision by another version shows that one', async (t) => {
  const { world, limits } = await ready();
  await world.settle(limits.set({ perMinute: 1 }));
  const { key } = world.cluster.entries('test/config/')[0]!;
  const backup = world.cluster.snapshot();
  const second = await world.settle(limits.set({ perMinute: 2 }));
  world.cluster.restore(backup);
  while (world.cluster.revision + 1n < second.revision) world.cluster.put('elsewhere', '');
  const sealed = JSON.parse(world.cluster.get(key)!.value) as object;
  world.cluster.put(key, JSON.stringify({ ...sealed, version: 2, value: { perMinute: 3 } }));
  t.is(world.cluster.get(key)?.modRevision, second.revision);
  await world.advance(30_000);
  t.like(limits.get(), { version: 2, revision: second.revision });
  t.is(limits.get()?.value.perMinute, 3);
});

test('an update is made against the very write that it was told, not another one of the same version', async (t) => {
  const { world, limits } = await ready();
  await world.settle(limits.set({ perMinute: 1 }));
  const { key, value } = world.cluster.entries('test/config/')[0]!;
  const told: number[] = [];
  const updated = await world.settle(
    limits.update((current) => {
      told.push(current!.perMinute);
      /* As a restore does it: the same version, of another history. */
      if (told.length === 1) {
        world.cluster.put(key, JSON.stringify({ ...(JSON.parse(value) as object), value: { perMinute: 10 } }));
      }
      return { perMinute: current!.perMinute + 1 };
    }),
  );
  t.deepEqual(told, [1, 10]);
  t.is(updated.value.perMinute, 11);
});

test('versions go on after a delete, so an old ifVersion never fits a new life', async (t) => {
  const { world, limits } = await ready();
  await world.settle(limits.set({ perMinute: 1 }));
  await world.settle(limits.delete({ ifVersion: 1 }));
  t.is(limits.get(), undefined);
  const entry = await world.settle(limits.set({ perMinute: 2 }, { ifVersion: 0 }));
  t.is(entry.version, 2);
  await t.throwsAsync(world.settle(limits.set({ perMinute: 3 }, { ifVersion: 1 })), {
    instanceOf: VersionConflictError,
  });
});

test('without ifVersion the last writer wins, with it the first', async (t) => {
  const { world, limits } = await ready();
  const both = await world.settle(Promise.all([limits.set({ perMinute: 1 }), limits.set({ perMinute: 2 })]));
  t.deepEqual(
    both.map(({ version }) => version),
    [1, 2],
  );
  const raced = await world.settle(
    Promise.allSettled([
      limits.set({ perMinute: 3 }, { ifVersion: 2 }),
      limits.set({ perMinute: 4 }, { ifVersion: 2 }),
    ]),
  );
  t.deepEqual(
    raced.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  );
});

test('a set whose answer was lost recognises its own success', async (t) => {
  const { world, store, limits } = await ready();
  store.faults.onResponse((call) => {
    if (call.method !== 'transact' || !call.transaction.then.some(({ type }) => type === 'put')) return undefined;
    store.faults.heal();
    return 'drop';
  });
  const entry = await world.settle(limits.set({ perMinute: 1 }, { ifVersion: 0 }));
  t.is(entry.version, 1);
  t.is((await world.settle(limits.history())).length, 1);
});

test('updates of many processes at once all come through', async (t) => {
  const world = new VirtualWorld();
  const processes = Array.from({ length: 4 }, () => world.start());
  for (const { store } of processes) {
    store.faults.onRequest(() => ({ delayMs: world.runtime.random.integer(1, 5) }));
  }
  const configs = processes.map(({ coordinator }) => coordinator.config<number>('count'));
  await world.settle(Promise.all(configs.map((config) => config.ready())));
  const increments = configs.map(async (config) => {
    for (let done = 0; done < 10; done += 1) await config.update((current) => (current ?? 0) + 1);
  });
  await world.settle(Promise.all(increments));
  t.is(configs[0]?.get()?.version, 40);
  t.is(configs[0]?.get()?.value, 40);
});

test('an invalid value is refused before it is sent, with its path and without its value', async (t) => {
  const { world, limits } = await ready();
  const error = await t.throwsAsync(world.settle(limits.set({ perMinute: -77 })), { instanceOf: ConfigInvalidError });
  t.regex(error.message, /at perMinute\./);
  t.regex(String(error.cause), /perMinute: must be a positive number/);
  t.notRegex(error.message, /77/);
});

const bad: readonly [string, string][] = [
  ['not JSON', '{"version":2,'],
  ['a byte order mark', '\ufeff{"version":2,"value":{"perMinute":1}}'],
  ['no envelope', '7'],
  ['a __proto__', '{"version":2,"value":{"perMinute":1,"__proto__":{"admin":true}}}'],
  ['deep nesting', `{"version":2,"value":${'['.repeat(5_000)}${']'.repeat(5_000)}}`],
  ['another schema', '{"version":2,"value":{"perMinute":"many"}}'],
];
test('where the only version is refused and there is no fallback, get says so, and serves the next one that passes', async (t) => {
  const world = new VirtualWorld();
  world.cluster.put('test/config/limits', '{"version":1,"value":{"perMinute":"many"}}');
  const { coordinator } = await world.connect();
  const limits = coordinator.config('limits', { schema: limitsSchema });
  t.throws(() => limits.get(), { code: 'UNAVAILABLE' }, 'nothing is known yet');
  await world.settle(limits.ready());
  t.throws(() => limits.get(), {
    code: 'CONFIG_INVALID',
    message: /only a version is known that this process does not serve.*perMinute/,
  });
  await t.throwsAsync(world.settle(limits.update(() => ({ perMinute: 1 }))), { code: 'CONFIG_INVALID' });
  await world.settle(limits.set({ perMinute: 6 }));
  t.is(limits.get()?.value.perMinute, 6);
});

test('that there was none is no longer said once there is a version that is refused: in whatever process, and to whoever watches', async (t) => {
  const { world, limits } = await ready();
  const watched = limits.watch();
  t.is((await world.settle(watched.next())).value, undefined, 'there is none');
  const kept = (await world.connect()).coordinator.config('limits', {
    schema: limitsSchema,
    fallback: { perMinute: 9 },
  });
  await world.settle(kept.ready());

  world.cluster.put('test/config/limits', '{"version":1,"value":{"perMinute":"many"}}');
  await world.advance(10);
  const later = (await world.connect()).coordinator.config('limits', { schema: limitsSchema });
  const laterWatched = later.watch();
  const lateWatched = limits.watch();
  await world.settle(later.ready());
  for (const config of [limits, later]) {
    await world.settle(config.ready());
    t.throws(() => config.get(), { code: 'CONFIG_INVALID' });
    await t.throwsAsync(world.settle(config.update(() => ({ perMinute: 1 }))), { code: 'CONFIG_INVALID' });
  }
  t.like(kept.get(), { version: 0, value: { perMinute: 9 } });

  await world.settle(limits.set({ perMinute: 6 }));
  await world.advance(10);
  for (const entries of [watched, lateWatched, laterWatched]) {
    t.is((await world.settle(entries.next())).value?.value.perMinute, 6);
  }
  await world.settle(limits.delete());
  await world.advance(10);
  for (const config of [limits, later]) t.is(config.get(), undefined);
});

test('a version that is refused after a delete does not bring back what was deleted, nor hide the delete from a slow watcher', async (t) => {
  const { world, limits } = await ready();
  await world.settle(limits.set({ perMinute: 5 }));
  const entries = limits.watch();
  t.is((await world.settle(entries.next())).value?.version, 1);
  await world.settle(limits.delete());
  world.cluster.put('test/config/limits', '{"version":2,"value":{"perMinute":"many"}}');
  await world.advance(10);
  t.throws(() => limits.get(), { code: 'CONFIG_INVALID' });
  t.deepEqual(await world.settle(entries.next()), { done: false, value: undefined });
});

test('a fallback is shown to a watcher once, whatever is refused', async (t) => {
  const { world, coordinator } = await ready();
  const config = coordinator.config('limits', { schema: limitsSchema, fallback: { perMinute: 9 } });
  await world.settle(config.ready());
  const entries = config.watch();
  t.is((await world.settle(entries.next())).value?.version, 0);
  world.cluster.put('test/config/limits', '{"version":1,"value":{"perMinute":"many"}}');
  await world.advance(10);
  t.is((await world.settle(config.watch().next())).value?.version, 0, 'a new watcher');
  await world.settle(config.set({ perMinute: 6 }));
  t.is((await world.settle(entries.next())).value?.value.perMinute, 6);
});

for (const [what, text] of bad) {
  test(`a new version with ${what} never replaces a good one`, async (t) => {
    const { world, limits } = await ready();
    await world.settle(limits.set({ perMinute: 5 }));
    world.cluster.put('test/config/limits', text);
    await world.advance(10);
    t.is(limits.get()?.value.perMinute, 5);
    const [line] = world.runtime.logger.of('config.refused');
    t.is(line?.fields['revision'], world.cluster.revision);
    await world.advance(5_000);
    const [report] = await world.settle(limits.rollout());
    t.is(report?.applied, 1);
    t.truthy(report?.refused);
    const after = await world.settle(limits.set({ perMinute: 6 }));
    t.is(limits.get()?.value.perMinute, 6);
    t.true(after.version >= 2);
  });
}

test('values are frozen all through', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const config = coordinator.config<{ hosts: { name: string }[] }>('deep');
  await world.settle(config.ready());
  await world.settle(config.set({ hosts: [{ name: 'a' }] }));
  const value = config.get()?.value;
  t.throws(() => {
    (value as { hosts: { name: string }[] }).hosts[0]!.name = 'b';
  });
});

test('a fallback stands for unknown and for absent, and unknown without one throws', async (t) => {
  const world = new VirtualWorld();
  world.cluster.stop();
  const { coordinator } = world.start();
  const bare = coordinator.config('limits', { schema: limitsSchema });
  const kept = coordinator.config('limits', { schema: limitsSchema, fallback: { perMinute: 9 } });
  t.throws(() => bare.get(), { instanceOf: CoordinationUnavailableError });
  t.is(kept.get()?.value.perMinute, 9);
  t.is(kept.get()?.source, 'fallback');
  t.is(kept.get()?.version, 0);
  t.is(kept.get()?.revision, 0n);
  world.cluster.start();
  await world.settle(kept.ready());
  t.is(kept.get()?.source, 'fallback');
  await world.settle(kept.set({ perMinute: 3 }));
  t.is(kept.get()?.version, 1);
  t.throws(() => coordinator.config('x', { schema: limitsSchema, fallback: { perMinute: -1 } }), {
    instanceOf: ConfigInvalidError,
  });
});

test('while etcd is away values age and turn stale, a strict reader is refused, and writes are not queued', async (t) => {
  const { world, coordinator, store, limits } = await ready();
  await world.settle(limits.set({ perMinute: 5 }));
  const strict = coordinator.config('limits', { schema: limitsSchema, onStale: 'throw', maxStalenessMs: 10_000 });
  await world.settle(strict.ready());
  store.faults.cutOff();
  await t.throwsAsync(world.settle(limits.set({ perMinute: 6 })), { instanceOf: CoordinationUnavailableError });
  await world.advance(20_000);
  t.is(limits.get()?.source, 'stale');
  t.true((limits.get()?.ageMs ?? 0) >= 20_000);
  t.throws(() => strict.get(), { instanceOf: TooStaleError });
  for (const write of [
    () => limits.set({ perMinute: 6 }),
    () => limits.update(() => ({ perMinute: 6 })),
    () => limits.rollback(1),
    () => limits.delete(),
  ]) {
    await t.throwsAsync(write(), { instanceOf: CoordinationUnavailableError, message: /nothing is queued/ });
  }
});

test('a set that nobody answers in time is of unknown outcome', async (t) => {
  const { world, store, limits } = await ready();
  store.faults.onResponse((call) =>
    call.method === 'transact' && call.transaction.then.some((operation) => operation.type === 'put')
      ? 'drop'
      : undefined,
  );
  await t.throwsAsync(world.settle(limits.set({ perMinute: 6 })), { instanceOf: OutcomeUnknownError });
});

test('an update settles by the deadline of one call, though it reads before it writes', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect({ request: { timeoutMs: 2_000, deadlineMs: 4_000 } });
  const limits = coordinator.config('limits', { schema: limitsSchema });
  await world.settle(limits.ready());
  /* Three answers: a proof, a look, and the write. */
  store.faults.onResponse((call) => (call.method === 'renew' ? undefined : { delayMs: 1_900 }));
  const startedAt = world.runtime.clock.now().monotonicMs;
  await t.throwsAsync(world.settle(limits.update(() => ({ perMinute: 6 }))), { instanceOf: OutcomeUnknownError });
  t.is(world.runtime.clock.now().monotonicMs - startedAt, 4_000);
});

test('watch gives the current entry first, then newer ones, conflated for a slow reader with the gap shown', async (t) => {
  const { world, limits } = await ready();
  await world.settle(limits.set({ perMinute: 1 }));
  const entries = limits.watch();
  const first = await world.settle(entries.next());
  t.is(first.value?.version, 1);
  await world.settle(limits.set({ perMinute: 2 }));
  t.is((await world.settle(entries.next())).value?.version, 2);
  await world.settle(limits.set({ perMinute: 3 }));
  await world.settle(limits.set({ perMinute: 4 }));
  const skipped = await world.settle(entries.next());
  t.is(skipped.value?.version, 4);
  t.true(skipped.value?.resynced);
  t.like(JSON.parse(JSON.stringify(skipped.value)), { version: 4, resynced: true });
  await world.settle(limits.delete());
  t.is((await world.settle(entries.next())).value, undefined);
  await world.settle(limits.close());
  t.true((await world.settle(entries.next())).done);
});

test('update sets what its function makes of the newest value, also when others are faster', async (t) => {
  const { world, limits } = await ready();
  const other = (await world.connect()).coordinator.config('limits', { schema: limitsSchema });
  await world.settle(other.ready());
  const increments = Array.from({ length: 6 }, (_, index) =>
    (index % 2 === 0 ? limits : other).update((current) => ({ perMinute: (current?.perMinute ?? 0) + 1 })),
  );
  await world.settle(Promise.all(increments));
  await world.settle(limits.update((current) => ({ perMinute: (current?.perMinute ?? 0) + 1 })));
  t.is(limits.get()?.value.perMinute, 7);
  t.is(limits.get()?.version, 7);
});

test('history keeps what was written, and a rollback is a new version', async (t) => {
  const { world, limits } = await ready();
  for (const perMinute of [1, 2, 3]) await world.settle(limits.set({ perMinute }));
  const history = await world.settle(limits.history({ limit: 2 }));
  t.deepEqual(
    history.map(({ version, value, by }) => [version, value, by]),
    [
      [3, { perMinute: 3 }, 'one'],
      [2, { perMinute: 2 }, 'one'],
    ],
  );
  const back = await world.settle(limits.rollback(1));
  t.is(back.version, 4);
  t.is(limits.get()?.value.perMinute, 1);
  await t.throwsAsync(world.settle(limits.rollback(99)), { instanceOf: VersionConflictError });
});

test('history is bounded', async (t) => {
  const { world, limits } = await ready();
  for (let index = 1; index <= 105; index += 1) await world.settle(limits.set({ perMinute: index }));
  t.is(world.cluster.entries('test/config-history/limits/').length, 100);
});

test('rollout tells which instance has applied which version, and forgets those that are gone', async (t) => {
  const { world, limits } = await ready();
  const two = await world.connect({ instanceId: 'two' });
  const other = two.coordinator.config('limits', { schema: limitsSchema });
  await world.settle(other.ready());
  await world.settle(limits.set({ perMinute: 1 }));
  await world.advance(3_000);
  const reports = await world.settle(limits.rollout());
  t.deepEqual(
    reports
      .map(({ instanceId, applied }) => [instanceId, applied])
      .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
    [
      ['one', 1],
      ['two', 1],
    ],
  );
  await world.advance(20_000);
  t.is((await world.settle(limits.rollout())).length, 2);
  await world.settle(two.coordinator.close());
  t.is((await world.settle(limits.rollout())).length, 1);
});

test('a coordinator that closes leaves nothing of its configs', async (t) => {
  const { world, coordinator, limits } = await ready();
  await world.settle(limits.set({ perMinute: 1 }));
  await world.advance(3_000);
  await world.settle(coordinator.close());
  await world.advance(3_000);
  t.is(world.cluster.openWatches, 0);
  t.is(world.runtime.clock.pendingTimers, 0);
  t.deepEqual(world.cluster.entries('test/session'), []);
  t.deepEqual(world.cluster.entries('test/config-rollout'), []);
});

test('a schema without anything of the standard is refused by name', async (t) => {
  const { coordinator } = await ready();
  for (const schema of [null, 7, {}, { '~standard': null }, { '~standard': { version: 2 } }]) {
    t.throws(() => coordinator.config('other', { schema: schema as never }), {
      instanceOf: TypeError,
      message: /^Expected schema to be .* got (?:null|7|an object of Object)$/,
    });
  }
});

test('a proxy of plain data is a value like any other', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const config = coordinator.config('limits', { fallback: new Proxy({ perMinute: 1 }, {}) });
  t.deepEqual(config.get()?.value, { perMinute: 1 });
  await world.settle(config.set(new Proxy({ perMinute: 2 }, {})));
  t.deepEqual(config.get()?.value, { perMinute: 2 });
});
