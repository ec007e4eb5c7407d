import test from 'ava';
import {
  ClosedError,
  CoordinationUnavailableError,
  LimitExceededError,
  NoMemberError,
  TooStaleError,
} from '../errors.ts';
import type { Call } from '../store/memory/call.ts';
import { StoreError } from '../store/store-error.ts';
import { VirtualWorld, type Process } from '../testing/virtual-world.ts';
import type { Registration, RegistrationStatus } from './registration.ts';

const PREFIX = 'test/registry/payments/';

async function pair() {
  const world = new VirtualWorld();
  const one = await world.connect({ instanceId: 'one' });
  const two = await world.connect({ instanceId: 'two' });
  const reader = two.coordinator.registry('payments');
  await world.settle(reader.ready());
  return { world, one, two, registry: one.coordinator.registry('payments'), reader };
}

function addresses({ coordinator }: Process): readonly string[] {
  return coordinator
    .registry('payments')
    .members()
    .members.map(({ address }) => address);
}

function refused(): Error {
  return Object.assign(new Error('connect ECONNREFUSED'), { syscall: 'connect', code: 'ECONNREFUSED' });
}

/** What a registration has been, until it has left. */
async function statesOf(registration: Registration): Promise<readonly RegistrationStatus[]> {
  const states: RegistrationStatus[] = [];
  for await (const status of registration.watch()) states.push(status);
  return states;
}

test('a member is known to others within a delivery, with what it says of itself, and gone when leave resolves', async (t) => {
  const { world, registry, reader } = await pair();
  t.deepEqual(reader.members().members, []);
  const registration = registry.register({ address: 'http://one', metadata: { zone: 'a' } });
  t.is(registration.status.state, 'joining');
  await world.settle(registration.registered());
  await world.advance(10);
  const [member] = reader.members().members;
  t.like(member, { instanceId: 'one', address: 'http://one', metadata: { zone: 'a' } });
  t.is(member?.revision, world.cluster.entries(PREFIX)[0]?.createRevision);
  t.is(reader.members().source, 'live');
  t.true(JSON.stringify(reader.members()).includes('"address":"http://one"'));

  await world.settle(registration.leave());
  t.deepEqual(world.cluster.entries(PREFIX), []);
  await world.advance(10);
  t.deepEqual(reader.members().members, []);
  await world.settle(registration.leave());
  t.is(registration.status.state, 'left');
  await t.throwsAsync(world.settle(registration.registered()), { instanceOf: ClosedError });
  t.throws(() => registration.update({}), { instanceOf: ClosedError });
});

test('a member is registered only while its check passes', async (t) => {
  const { world, registry } = await pair();
  let verdict: 'pass' | 'fail' | 'no' | 'hang' = 'fail';
  const registration = registry.register({
    address: 'http://one',
    checkEveryMs: 1_000,
    checkTimeoutMs: 500,
    check: ({ signal }) => {
      if (verdict === 'fail') throw new Error('the pool is empty');
      if (verdict === 'hang') {
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        });
      }
      return verdict !== 'no';
    },
  });
  const states = statesOf(registration);
  t.is(registration.status.state, 'checking');
  await world.advance(100);
  t.deepEqual(registration.status, { state: 'unready', reason: 'Error: the pool is empty' });
  t.deepEqual(world.cluster.entries(PREFIX), []);
  await t.throwsAsync(world.settle(registration.registered({ timeoutMs: 100 })), {
    instanceOf: CoordinationUnavailableError,
    message: /the pool is empty/,
  });

  verdict = 'pass';
  await world.settle(registration.registered());
  t.is(world.cluster.entries(PREFIX).length, 1);
  /* One failure is none, two are. */
  verdict = 'no';
  await world.advance(1_000);
  t.is(world.cluster.entries(PREFIX).length, 1);
  await world.advance(1_100);
  t.is(world.cluster.entries(PREFIX).length, 0);
  t.is(registration.status.reason, 'the check said no');

  verdict = 'pass';
  await world.settle(registration.registered());
  verdict = 'hang';
  await world.advance(4_000);
  t.is(registration.status.state, 'unready');
  verdict = 'pass';
  await world.settle(registration.registered());
  await world.settle(registration.leave());
  t.is((await world.settle(states)).at(-1)?.state, 'left');
});

test('a new session says it again, under the same address once', async (t) => {
  const { world, one, registry, reader } = await pair();
  const registration = registry.register({ address: 'http://one' });
  await world.settle(registration.registered());
  const before = world.cluster.entries(PREFIX)[0];
  /* Cut off for longer than its session can be trusted, and back before its lease ends at the server: both keys stand for a while. */
  const undo = one.store.faults.onRequest(() => 'drop');
  await world.advance(4_700);
  undo();
  await world.settle(registration.registered());
  await world.advance(50);
  t.deepEqual(
    reader.members().members.map(({ address }) => address),
    ['http://one'],
  );
  await world.advance(10_000);
  const [after, ...others] = world.cluster.entries(PREFIX);
  t.deepEqual(others, []);
  t.not(after?.key, before?.key);
  t.is(reader.members().members[0]?.revision, after?.createRevision);
});

test('a registration that somebody removed comes back with the next audit', async (t) => {
  const { world, registry } = await pair();
  const registration = registry.register({ address: 'http://one' });
  await world.settle(registration.registered());
  world.cluster.delete(world.cluster.entries(PREFIX)[0]!.key);
  await world.advance(15_000);
  t.is(world.cluster.entries(PREFIX).length, 1);
  t.is(registration.status.state, 'registered');
});

test('what was answered by nobody is neither lost nor left behind', async (t) => {
  const { world, one, registry } = await pair();
  let dropped = 0;
  const undo = one.store.faults.onResponse((call) => {
    const isWrite = call.method === 'transact' && JSON.stringify(call.transaction, text).includes('/registry/');
    return isWrite && dropped++ === 0 ? 'drop' : undefined;
  });
  const registration = registry.register({ address: 'http://one' });
  await world.settle(registration.registered());
  t.is(world.cluster.entries(PREFIX).length, 1);
  dropped = 0;
  await world.settle(registration.leave());
  t.true(dropped > 0);
  undo();
  t.deepEqual(world.cluster.entries(PREFIX), []);
  /* And the lease has nothing on it that an audit would not know. */
  await world.advance(20_000);
  t.deepEqual(world.cluster.entries(PREFIX), []);
});

test('a put that was parked does not undo the leaving', async (t) => {
  const { world, one, registry } = await pair();
  const undo = one.store.faults.onRequest((call) =>
    call.method === 'transact' && JSON.stringify(call.transaction, text).includes('http://one') ? 'park' : undefined,
  );
  const registration = registry.register({ address: 'http://one' });
  await world.advance(500);
  undo();
  await world.settle(registration.leave());
  one.store.faults.releaseParked();
  await world.advance(1_000);
  t.deepEqual(world.cluster.entries(PREFIX), []);
});

test('a put that was parked before access was refused does not come back once leave has resolved', async (t) => {
  const { world, one, registry } = await pair();
  const { faults } = one.store;
  const isPut = (call: Call): boolean =>
    call.method === 'transact' && JSON.stringify(call.transaction, text).includes('http://one');
  const unpark = faults.onRequest((call) => (isPut(call) ? 'park' : undefined));
  const registration = registry.register({ address: 'http://one' });
  await world.advance(100);
  unpark();
  const denied = new StoreError('denied', 'permanent', 'permission denied');
  const allow = faults.onRequest((call) => (call.method === 'transact' ? { refuseWith: denied } : undefined));
  await t.throwsAsync(world.settle(registration.leave()), { instanceOf: CoordinationUnavailableError });
  allow();
  await world.settle(registration.leave(), 30_000);
  faults.releaseParked();
  await world.advance(5_000);
  t.deepEqual(world.cluster.entries(PREFIX), []);
});

test('a member leaves while etcd has no space, also one that it could not say something else of', async (t) => {
  const { world, registry } = await pair();
  const registration = registry.register({ address: 'http://one' });
  await world.settle(registration.registered());
  world.cluster.exceedQuota();
  registration.update({ version: '2' });
  await world.advance(1_000);
  await world.settle(registration.leave(), 30_000);
  t.deepEqual(world.cluster.entries(PREFIX), []);
});

test('an update that was applied and not answered is known as such', async (t) => {
  const { world, one, registry } = await pair();
  const registration = registry.register({ address: 'http://one' });
  await world.settle(registration.registered());
  const undo = one.store.faults.onResponse((call) => (call.method === 'transact' ? 'drop' : undefined));
  registration.update({ version: '2' });
  await world.advance(300);
  registration.update({});
  undo();
  await world.advance(30_000);
  t.false(world.cluster.entries(PREFIX)[0]?.value.includes('version'));
});

test('a registration whose leaving took too long ends when it has left after all', async (t) => {
  const { world, registry } = await pair();
  const registration = registry.register({ address: 'http://one' });
  await world.settle(registration.registered());
  const states = statesOf(registration);
  world.cluster.stop();
  await t.throwsAsync(world.settle(registration.leave()), { instanceOf: CoordinationUnavailableError });
  world.cluster.start();
  t.is((await world.settle(states)).at(-1)?.state, 'left');
  t.deepEqual(world.cluster.entries(PREFIX), []);
});

test('a closing coordinator takes no new registration', async (t) => {
  const { world, one, registry } = await pair();
  void one.coordinator.lock('a').with(() => new Promise(() => {}));
  await world.advance(50);
  const closing = one.coordinator.close({ drainMs: 500 });
  t.throws(() => registry.register({ address: 'late' }), { instanceOf: ClosedError });
  await world.settle(closing);
});

test('members are served through an outage with their age, and leave says that it could not', async (t) => {
  const { world, registry, reader } = await pair();
  const registration = registry.register({ address: 'http://one' });
  await world.settle(registration.registered());
  await world.advance(100);
  world.cluster.stop();
  await world.advance(20_000);
  const known = reader.members();
  t.is(known.members.length, 1);
  t.is(known.source, 'stale');
  t.true(known.ageMs >= 20_000);
  t.is(reader.pick().length, 1);
  t.is(registration.status.state, 'joining');
  await t.throwsAsync(world.settle(reader.confirm()), { instanceOf: CoordinationUnavailableError });
  await t.throwsAsync(world.settle(registry.register({ address: 'http://b' }).registered()), {
    instanceOf: CoordinationUnavailableError,
  });
  world.cluster.start();
  await world.settle(registration.registered({ timeoutMs: 20_000 }));
  await world.settle(registration.leave());
});

test('nothing known is no empty list, and too old is too old', async (t) => {
  const world = new VirtualWorld();
  world.cluster.stop();
  const { coordinator } = world.start();
  const registry = coordinator.registry('payments', { freshnessMs: 1_000, maxStalenessMs: 3_000, onStale: 'throw' });
  t.throws(() => registry.members(), { instanceOf: TooStaleError });
  t.throws(() => coordinator.registry('payments').members(), { instanceOf: CoordinationUnavailableError });
  await t.throwsAsync(world.settle(registry.call(() => 1)), { instanceOf: TooStaleError });
  world.cluster.start();
  await world.settle(registry.ready({ timeoutMs: 30_000 }));
  t.deepEqual(registry.members().members, []);
  await t.throwsAsync(world.settle(registry.call(() => 1)), { instanceOf: NoMemberError });
  world.cluster.stop();
  await world.advance(3_100);
  t.throws(() => registry.pick(), { instanceOf: TooStaleError });
});

test('a call goes on to an alternate where nothing was sent, and not where something may have been done', async (t) => {
  const { world, registry, reader } = await pair();
  for (const address of ['a', 'b', 'c']) await world.settle(registry.register({ address }).registered());
  await world.advance(10);
  const key = 'customer:42';
  const order = reader.pick({ key }).map(({ address }) => address);

  const tried: string[] = [];
  const failing = (error: Error) => (member: { readonly address: string }) => {
    tried.push(member.address);
    if (tried.length === 1) throw error;
    return member.address;
  };
  t.is(await reader.call(failing(refused()), { key }), order[1]!);
  t.deepEqual(tried.splice(0), order.slice(0, 2));
  /* Who was out of reach comes last for a while. */
  t.deepEqual(
    reader.pick({ key }).map(({ address }) => address),
    [...order.slice(1), ...order.slice(0, 1)],
  );
  await world.advance(5_001);
  t.is(reader.pick({ key })[0]?.address, order[0]);

  const reset = new Error('socket hang up');
  await t.throwsAsync(reader.call(failing(reset), { key }), { is: reset });
  t.is(tried.splice(0).length, 1);
  t.is(await reader.call(failing(reset), { key, idempotent: true }), order[1]!);
  tried.splice(0);
  const all = refused();
  await t.throwsAsync(
    reader.call(({ address }) => {
      tried.push(address);
      throw all;
    }),
    { is: all },
  );
  t.is(new Set(tried).size, 3);

  const stop = new AbortController();
  stop.abort(new Error('enough'));
  await t.throwsAsync(
    reader.call(() => 1, { signal: stop.signal }),
    { message: 'enough' },
  );
});

test('watch tells who is there now, then each change, and ends with the registry', async (t) => {
  const { world, registry, reader } = await pair();
  const seen: number[] = [];
  const watching = (async () => {
    for await (const { members } of reader.watch()) seen.push(members.length);
  })();
  const registration = registry.register({ address: 'a' });
  await world.settle(registration.registered());
  await world.advance(10);
  registration.update({ version: '2' });
  await world.advance(50);
  t.is(reader.members().members[0]?.metadata['version'], '2');
  t.is(registration.status.state, 'registered');
  await world.settle(registration.leave());
  await world.advance(10);
  await world.settle(reader.close());
  await watching;
  t.deepEqual(seen, [0, 1, 1, 0]);
  t.throws(() => reader.register({ address: 'x' }), { instanceOf: ClosedError });
});

test('a closing coordinator leaves first, and its work ends afterwards', async (t) => {
  const { world, one, two, registry } = await pair();
  await world.settle(registry.register({ address: 'http://one' }).registered());
  let seenByWork: readonly string[] | undefined;
  const working = one.coordinator.lock('a').with(
    ({ signal }) =>
      new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => {
          world.runtime.clock.schedule(200, () => {
            seenByWork = addresses(two);
            resolve();
          });
        });
      }),
  );
  await world.advance(100);
  const closing = one.coordinator.close();
  await world.settle(closing);
  await working.catch(() => {});
  t.deepEqual(seenByWork, []);
});

test('also work that does not end keeps nobody registered', async (t) => {
  const { world, one, registry } = await pair();
  await world.settle(registry.register({ address: 'http://one' }).registered());
  void one.coordinator.lock('a').with(() => new Promise(() => {}));
  await world.advance(100);
  await world.settle(one.coordinator.close({ drainMs: 0 }));
  t.deepEqual(world.cluster.entries(PREFIX), []);
  t.is(world.cluster.entries('test/lock/').length, 1);
});

test('a signal ends a registration, also one that has aborted before', async (t) => {
  const { world, registry } = await pair();
  const stop = new AbortController();
  const registration = registry.register({ address: 'a', signal: stop.signal });
  await world.settle(registration.registered());
  stop.abort();
  await world.advance(50);
  t.deepEqual(world.cluster.entries(PREFIX), []);
  const late = registry.register({ address: 'b', signal: stop.signal });
  await world.advance(50);
  t.is(late.status.state, 'left');
  t.deepEqual(world.cluster.entries(PREFIX), []);
});

test('wrong options are refused at once', async (t) => {
  const { registry, one } = await pair();
  t.throws(() => registry.register(undefined as never), { instanceOf: TypeError, message: /options of register/ });
  t.throws(() => registry.register({ address: '' }), { instanceOf: TypeError });
  t.throws(() => registry.register({ address: 'a', metadata: { n: 1 as never } }), { instanceOf: TypeError });
  t.throws(() => registry.register({ address: 'a', metadata: { n: 'x'.repeat(5_000) } }), {
    instanceOf: LimitExceededError,
  });
  t.throws(() => registry.register({ address: 'a', unreadyAfter: 0 }), { instanceOf: RangeError });
  t.throws(() => registry.register({ address: 'a', chek: 1 } as never), { instanceOf: TypeError });
  t.throws(() => registry.pick({ key: '' }), { instanceOf: TypeError });
  t.throws(() => one.coordinator.registry(''), { instanceOf: TypeError });
  await t.throwsAsync(
    registry.call(() => 1, { attempts: 0 }),
    { instanceOf: RangeError },
  );
});

function text(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
