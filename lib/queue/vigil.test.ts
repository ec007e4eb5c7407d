import test from 'ava';
import { listen, type StuckEvent } from '../runtime/diagnostics.ts';
import { leaseHex, queueSegment } from '../session/keyspace.ts';
import type { Transaction } from '../store/store.ts';
import { VirtualWorld } from '../testing/virtual-world.ts';

const CALL = { timeoutMs: 1_000 };

function heard(t: { teardown: (act: () => void) => void }, name: string): StuckEvent[] {
  const events: StuckEvent[] = [];
  t.teardown(listen('stuck', (event) => event.name === name && events.push(event)));
  return events;
}

test('who waits behind the same holder at two looks warns of it by name, ever less often, and not after its turn', async (t) => {
  const world = new VirtualWorld();
  const [one, two] = [await world.connect({ instanceId: 'one' }), await world.connect()];
  const events = heard(t, 'held');
  const held = await world.settle(one.coordinator.lock('held').acquire());
  const waiting = two.coordinator.lock('held').acquire();
  const lines = () => world.runtime.logger.of('queue.held-long');

  await world.advance(60_000);
  t.is(lines().length, 0, 'one look says nothing about the time between');
  await world.advance(40_000);
  t.like(lines()[0]?.fields, { kind: 'lock', name: 'held', instanceId: 'one' });
  t.regex(lines()[0]?.message ?? '', /in front now as before is one, who asked for it at/);
  t.like(events[0], { kind: 'lock', is: 'held-long', lease: one.coordinator.session?.lease });
  await world.advance(920_000);
  t.is(lines().length, 4);

  await world.settle(held.release());
  await world.settle(waiting);
  await world.advance(1_800_000);
  t.is(lines().length, 4);
});

test('a waiter behind holders that change warns of none', async (t) => {
  const world = new VirtualWorld();
  const [one, two, three] = [await world.connect(), await world.connect(), await world.connect()];
  let held = await world.settle(one.coordinator.lock('a', { handoff: false }).acquire());
  const next = [two, three].map(({ coordinator }) => coordinator.lock('a', { handoff: false }).acquire());
  await world.advance(35_000);
  await world.settle(held.release());
  held = await world.settle(next[0] as Promise<typeof held>);
  await world.advance(55_000);
  t.deepEqual(world.runtime.logger.of('queue.held-long'), []);
  await world.settle(held.release());
  t.true((await world.settle(next[1] as Promise<typeof held>)).isHeld());
});

test('a key whose session is gone is called a zombie, with what removes it; one of another client is not', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const events = heard(t, 'reporter');
  const put = async (prefix: string, segment: string, lease: bigint): Promise<void> => {
    await world.settle(store.grant(lease, 3_600_000, CALL));
    const key = `test/election/${prefix}/${segment}`;
    await world.settle(store.transact({ compare: [], then: [{ type: 'put', key, value: '', lease }] }, CALL));
  };
  await put('reporter', queueSegment(77n, world.runtime.clock.now().wallMs, 5n), 77n);
  await put('other', leaseHex(78n), 78n);
  for (const name of ['reporter', 'other'])
    void coordinator
      .election(name)
      .campaign()
      .catch(() => {});
  await world.advance(105_000);
  const lines = world.runtime.logger.of('queue.zombie');
  t.is(lines.length, 1);
  t.like(lines[0]?.fields, { kind: 'election', name: 'reporter', lease: '4d' });
  t.regex(lines[0]?.message ?? '', /etcdctl lease revoke 4d/);
  t.like(events, [{ is: 'zombie', lease: '4d' }]);
  t.deepEqual(world.runtime.logger.of('queue.held-long'), [], 'a leader leads for as long as it likes');
});

test('a look costs two calls however many stand in front', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  for (let lease = 100n; lease < 300n; lease += 1n) {
    await world.settle(store.grant(lease, 3_600_000, CALL));
    const key = `test/lock/long/${leaseHex(lease)}`;
    await world.settle(store.transact({ compare: [], then: [{ type: 'put', key, value: '', lease }] }, CALL));
  }
  void coordinator
    .lock('long')
    .acquire()
    .catch(() => {});
  await world.advance(1_000);
  const { revision } = world.cluster;
  /* Its own point of time between 30 and 45 s. */
  const lookMs = 30_000 * (1 + Number(revision % 64n) / 128);
  await world.advance(lookMs - 2_000);
  let calls = 0;
  store.faults.onRequest((call) => {
    if (call.method === 'transact' && (isLook(call.transaction) || asksForNames(call.transaction))) calls += 1;
    return undefined;
  });
  await world.advance(2_000);
  t.is(calls, 2);
  await world.advance(2 * lookMs);
  t.like(world.runtime.logger.of('queue.held-long')[0]?.fields, { lease: leaseHex(100n) });
});

test('an outage between two looks says nothing about who stood there', async (t) => {
  const world = new VirtualWorld();
  const [one, two] = [
    await world.connect({ session: { ttlMs: 600_000 } }),
    await world.connect({ session: { ttlMs: 600_000 } }),
  ];
  await world.settle(one.coordinator.lock('a').acquire());
  void two.coordinator
    .lock('a')
    .acquire()
    .catch(() => {});
  await world.advance(45_000);
  const undo = two.store.faults.onRequest(({ method }) => (method === 'transact' ? 'refuse' : undefined));
  await world.advance(90_000);
  undo();
  await world.advance(90_000);
  t.deepEqual(world.runtime.logger.of('queue.held-long'), []);
  await world.advance(330_000);
  t.true(world.runtime.logger.of('queue.held-long').length > 0);
});

test('those who came together do not look together', async (t) => {
  const world = new VirtualWorld();
  const one = await world.connect();
  await world.settle(one.coordinator.lock('a').acquire());
  const others: Awaited<ReturnType<typeof world.connect>>[] = [];
  for (let count = 0; count < 8; count += 1) others.push(await world.connect());
  for (const { coordinator } of others)
    void coordinator
      .lock('a')
      .acquire()
      .catch(() => {});
  await world.advance(1_000);
  const looks = new Set<number>();
  for (const { store } of others) {
    store.faults.onRequest((call) => {
      if (call.method === 'transact' && isLook(call.transaction)) looks.add(world.runtime.clock.now().monotonicMs);
      return undefined;
    });
  }
  await world.advance(50_000);
  t.is(looks.size, 8);
});

test('work that is stuck does not keep the process of a closed coordinator: close tells of it', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  for (const name of ['lost before', 'lost after']) void coordinator.lock(name).with(() => new Promise(() => {}));
  await world.advance(100);
  const lost = coordinator.session?.lease;
  await world.settle(store.revoke(BigInt(`0x${lost}`), CALL));
  await world.advance(100);
  await world.settle(coordinator.close({ drainMs: 1_000 }));
  await world.advance(60_000);
  t.deepEqual(world.runtime.logger.of('tenure.stuck'), []);
  t.is(world.runtime.clock.pendingTimers, 0, 'no timer is left');
});

test('work that goes on after its lock was lost is told of, and work that ends in time is not', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const events = heard(t, 'stubborn');
  let end = (): void => {};
  const stubborn = coordinator.lock('stubborn').with(() => new Promise<void>((resolve) => (end = resolve)));
  const heeding = coordinator.lock('heeding').with(({ signal }) => untilAborted(signal));
  await world.advance(100);
  await world.settle(store.revoke(BigInt(`0x${coordinator.session?.lease}`), CALL));
  await t.throwsAsync(world.settle(heeding), { code: 'LOCK_LOST' });
  await world.advance(20_000);
  const lines = world.runtime.logger.of('tenure.stuck');
  t.is(lines.length, 1);
  t.regex(lines[0]?.message ?? '', /lock "stubborn".* still runs 10000 ms later/);
  t.like(events, [{ kind: 'lock', is: 'work', waitedMs: 10_000 }]);
  end();
  await t.throwsAsync(world.settle(stubborn), { code: 'LOCK_LOST' });
});

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
}

/** Who stands in front is asked for with a limit, and nothing else is. */
function isLook({ then, otherwise = [] }: Transaction): boolean {
  return [...then, ...otherwise].some((operation) => operation.type === 'range' && operation.limit === 16);
}

function asksForNames({ then }: Transaction): boolean {
  return then.every(
    (operation) => operation.type === 'range' && 'key' in operation && operation.key.includes('/session/'),
  );
}
