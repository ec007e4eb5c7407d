import test from 'ava';
import {
  ClosedError,
  CoordinationUnavailableError,
  LockLostError,
  LockTimeoutError,
  OutcomeUnknownError,
  SelfDeadlockError,
} from '../errors.ts';
import { unpackToken } from '../queue/token.ts';
import { sleep } from '../runtime/clock.ts';
import { VirtualWorld } from '../testing/virtual-world.ts';
import type { HeldLock } from './held-lock.ts';

const LOCK = 'test/lock/a/';

test('an uncontended acquire is one transaction, and a release is one', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const calls: string[] = [];
  store.faults.onRequest((call) => {
    calls.push(call.method);
    return undefined;
  });
  const held = await world.settle(coordinator.lock('a').acquire());
  t.deepEqual(calls, ['transact']);
  await world.settle(held.release());
  t.deepEqual(calls, ['transact', 'transact']);
  t.deepEqual(world.cluster.entries(LOCK), []);
});

test('a waiter whose watches are refused looks again, ever less often, and has its turn all the same', async (t) => {
  const world = new VirtualWorld();
  const [one, two] = [await world.connect(), await world.connect()];
  const held = await world.settle(one.coordinator.lock('a').acquire());
  let looks = 0;
  two.store.faults.onRequest((call) => {
    if (call.method === 'watch') return 'refuse';
    if (call.method === 'transact' && call.transaction.then.every(({ type }) => type === 'range')) looks += 1;
    return undefined;
  });
  const waiting = two.coordinator.lock('a').acquire();
  await world.advance(20_000);
  t.true(looks > 5 && looks < 60, `${looks} looks in 20 s`);
  await world.settle(held.release());
  t.true((await world.settle(waiting, 10_000)).isHeld());
});

test('a tenure that lasts is watched, once', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  let watches = 0;
  store.faults.onRequest((call) => {
    if (call.method === 'watch') watches += 1;
    return undefined;
  });
  const held = await world.settle(coordinator.lock('a').acquire());
  await world.advance(200);
  t.is(watches, 0);
  await world.advance(200);
  t.is(watches, 1);
  await world.settle(held.release());
});

test('a token is the create revision of the holder’s key, and rises from holder to holder', async (t) => {
  const world = new VirtualWorld();
  const one = await world.connect();
  const two = await world.connect();
  const first = await world.settle(one.coordinator.lock('a').acquire());
  t.is(unpackToken(first.token).revision, world.cluster.entries(LOCK)[0]!.createRevision);
  const waiting = two.coordinator.lock('a').acquire();
  await world.advance(1_000);
  t.is(world.cluster.entries(LOCK).length, 2);
  await world.settle(first.release());
  const second = await world.settle(waiting);
  t.true(second.token > first.token);
  t.true(second.isHeld());
  t.false(first.isHeld());
});

test('the operator’s epoch stands above the revision in the token', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const before = await world.settle(coordinator.lock('a').acquire());
  await world.settle(before.release());
  world.cluster.put('test/epoch', '7');
  const after = await world.settle(coordinator.lock('a').acquire());
  t.is(unpackToken(after.token).epoch, 7);
  t.true(after.token > before.token + 2n ** 50n);
});

test('an epoch that is no number refuses the lock and leaves no key', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  world.cluster.put('test/epoch', 'seven');
  const error = await t.throwsAsync(world.settle(coordinator.lock('a').acquire()));
  t.regex(error?.message ?? '', /epoch.*not a number/);
  await world.advance(1_000);
  t.deepEqual(world.cluster.entries(LOCK), []);
});

test('waiters of one process stand behind one key, and are served in order', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const served: number[] = [];
  const tokens: bigint[] = [];
  const all = [0, 1, 2, 3].map((index) =>
    coordinator.lock('a').with(async (held) => {
      served.push(index);
      tokens.push(held.token);
      t.is(world.cluster.entries(LOCK).length, 1);
      await world.runtime.clock.flush();
    }),
  );
  await world.settle(Promise.all(all));
  t.deepEqual(served, [0, 1, 2, 3]);
  t.deepEqual(
    tokens,
    tokens.toSorted((a, b) => Number(a - b)),
  );
  t.is(new Set(tokens).size, 4);
});

test('a waiter that gives up passes its place on instead of going to the end', async (t) => {
  const world = new VirtualWorld();
  const one = await world.connect();
  const two = await world.connect();
  const held = await world.settle(one.coordinator.lock('a').acquire());
  const abort = new AbortController();
  const impatient = two.coordinator.lock('a').acquire({ signal: abort.signal });
  const patient = two.coordinator.lock('a').acquire();
  await world.advance(100);
  const [, place] = world.cluster.entries(LOCK).map(({ createRevision }) => createRevision);
  abort.abort(new Error('no longer'));
  await t.throwsAsync(impatient, { message: 'no longer' });
  await world.settle(held.release());
  const after = await world.settle(patient);
  t.is(unpackToken(after.token).revision, place!);
});

test('contention and outage never share an error', async (t) => {
  const world = new VirtualWorld();
  const one = await world.connect();
  const two = await world.connect();
  const held = await world.settle(one.coordinator.lock('a').acquire());
  await t.throwsAsync(world.settle(two.coordinator.lock('a').acquire({ timeoutMs: 500 })), {
    instanceOf: LockTimeoutError,
  });
  await t.throwsAsync(world.settle(one.coordinator.lock('a').acquire({ timeoutMs: 500 })), {
    instanceOf: LockTimeoutError,
  });
  await world.settle(held.release());
  two.store.faults.cutOff();
  await t.throwsAsync(world.settle(two.coordinator.lock('a').acquire({ timeoutMs: 500 })), {
    instanceOf: CoordinationUnavailableError,
  });
});

test('degraded refuses at once, unless the caller waits for the recovery', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const restore = store.faults.cutOff();
  const early = coordinator.lock('b').acquire();
  const refused = t.throwsAsync(early, { instanceOf: CoordinationUnavailableError });
  await world.advance(6_000);
  await refused;
  t.is(coordinator.health.state, 'degraded');
  await t.throwsAsync(coordinator.lock('a').acquire(), { instanceOf: CoordinationUnavailableError });
  const patient = coordinator.lock('a').acquire({ waitForRecovery: true });
  await world.advance(10_000);
  restore();
  t.true((await world.settle(patient)).isHeld());
});

test('a starting coordinator waits within the timeout, and turns degraded after one TTL', async (t) => {
  const world = new VirtualWorld();
  world.cluster.stop();
  const { coordinator } = world.start();
  t.is(coordinator.health.state, 'starting');
  await t.throwsAsync(world.settle(coordinator.lock('a').acquire({ timeoutMs: 1_000 })), {
    instanceOf: CoordinationUnavailableError,
  });
  t.is(coordinator.health.state, 'starting');
  await world.advance(5_000);
  t.is(coordinator.health.state, 'degraded');
  world.cluster.start();
  await world.settle(coordinator.ready());
  t.is(coordinator.health.state, 'connected');
});

test('an acquire whose answer was lost is recognised as our own', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  store.faults.nextResponse('transact', 'drop');
  const held = await world.settle(coordinator.lock('a').acquire());
  t.is(world.cluster.entries(LOCK).length, 1);
  await world.settle(held.release());
  t.deepEqual(world.cluster.entries(LOCK), []);
});

test('an enqueue by which etcd’s space quota is exceeded, and which is said to be refused, leaves no zombie', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  for (const acquire of [
    () => coordinator.lock('a').acquire({ timeoutMs: 2_000 }),
    () => coordinator.lock('a').tryAcquire(),
  ]) {
    world.cluster.exceedQuota({ takesOneMore: true });
    await world.settle(t.throwsAsync(acquire(), { instanceOf: CoordinationUnavailableError }));
    await world.advance(1_000);
    t.deepEqual(world.cluster.entries(LOCK), []);
    t.is(coordinator.health.state, 'connected');
    world.cluster.disarmQuota();
  }
  await world.settle((await world.settle(coordinator.lock('a').acquire())).release());
});

test('an enqueue that is applied after its caller gave up leaves no zombie', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  store.faults.nextRequest('transact', 'park');
  const gaveUp = coordinator.lock('a').acquire({ timeoutMs: 300 });
  await t.throwsAsync(world.settle(gaveUp), { instanceOf: CoordinationUnavailableError });
  await world.advance(3_000);
  t.is(store.faults.releaseParked(), 1);
  await world.advance(100);
  t.deepEqual(world.cluster.entries(LOCK), []);
  t.is(coordinator.health.state, 'connected');
  const held = await world.settle(coordinator.lock('a').acquire());
  t.true(held.isHeld());
});

test('an enqueue that is applied after its lock was acquired again and released leaves no zombie', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  store.faults.nextRequest('transact', 'park');
  const held = await world.settle(coordinator.lock('a').acquire());
  await world.settle(held.release());
  t.is(store.faults.releaseParked(), 1);
  await world.advance(100);
  t.deepEqual(world.cluster.entries(LOCK), []);
});

test('a try that is applied after its caller gave up leaves no zombie', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect({ request: { timeoutMs: 500, deadlineMs: 800 } });
  store.faults.onRequest((call) => (call.method === 'transact' ? 'park' : undefined));
  await t.throwsAsync(world.settle(coordinator.lock('a').tryAcquire()), { instanceOf: CoordinationUnavailableError });
  store.faults.heal();
  await world.advance(3_000);
  t.true(store.faults.releaseParked() >= 1);
  await world.advance(100);
  t.deepEqual(world.cluster.entries(LOCK), []);
});

test('when an unanswered enqueue cannot be settled, the session is given up', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const other = await world.settle(coordinator.lock('other').acquire());
  store.faults.onRequest((call) => (call.method === 'transact' ? 'park' : undefined));
  const abort = new AbortController();
  const acquiring = coordinator.lock('a').acquire({ signal: abort.signal });
  await world.advance(100);
  abort.abort(new Error('no longer'));
  await t.throwsAsync(acquiring, { message: 'no longer' });
  await world.advance(8_000);
  t.false(other.isHeld());
  store.faults.heal();
  await world.advance(12_000);
  store.faults.releaseParked();
  await world.advance(100);
  t.deepEqual(world.cluster.entries('test/lock/'), []);
});

test('tryAcquire takes a free lock, and leaves no key behind when it fails', async (t) => {
  const world = new VirtualWorld();
  const one = await world.connect();
  const two = await world.connect();
  const held = await world.settle(one.coordinator.lock('a').tryAcquire());
  t.true(held?.isHeld());
  t.is(await world.settle(two.coordinator.lock('a').tryAcquire()), undefined);
  t.is(await world.settle(one.coordinator.lock('a').tryAcquire()), undefined);
  t.is(world.cluster.entries(LOCK).length, 1);
  await world.settle(held!.release());
  t.true((await world.settle(two.coordinator.lock('a').tryAcquire()))?.isHeld());
});

test('of two tries on a free lock one wins, in one process and between two', async (t) => {
  const world = new VirtualWorld();
  const one = await world.connect();
  const two = await world.connect();
  const tries = [one, one, two, two].map(({ coordinator }) => coordinator.lock('a').tryAcquire());
  const held = await world.settle(Promise.all(tries));
  t.is(held.filter((lock) => lock !== undefined).length, 1);
  t.is(world.cluster.entries(LOCK).length, 1);
});

test('a try whose answer was lost recognises its own key', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  store.faults.nextResponse('transact', 'drop');
  const held = await world.settle(coordinator.lock('a').tryAcquire());
  t.true(held?.isHeld());
});

test('a lock is lost before the server could give it away, and a late renewal does not revive it', async (t) => {
  const world = new VirtualWorld();
  const one = await world.connect();
  const two = await world.connect();
  const held = await world.settle(one.coordinator.lock('a').acquire());
  const waiting = two.coordinator.lock('a').acquire();
  let lostAtMs = 0;
  held.signal.addEventListener('abort', () => (lostAtMs = world.runtime.clock.elapsedMs));
  one.store.faults.onRequest((call) => (call.method === 'renew' ? { delayMs: 4_600 } : undefined));
  one.store.faults.onResponse((call) => (call.method === 'renew' ? { delayMs: 200 } : undefined));
  const next = await world.settle(waiting);
  t.true(lostAtMs > 0 && lostAtMs < world.runtime.clock.elapsedMs);
  t.true(held.signal.reason instanceof LockLostError);
  t.false(held.isHeld());
  t.throws(() => held.assertHeld(), { instanceOf: LockLostError });
  t.is(held.remainingMs(), 0);
  t.true(next.token > held.token);
});

test('isHeld is right although no timer has come round: a suspended machine, a blocked event loop', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const held = await world.settle(coordinator.lock('a').acquire());
  t.true(held.isHeld());
  world.runtime.clock.suspend(4_600);
  t.false(held.isHeld());
  t.throws(() => held.assertHeld(), { instanceOf: LockLostError });
});

test('a wall clock that is set back lengthens nothing', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const held = await world.settle(coordinator.lock('a').acquire());
  world.runtime.clock.jumpWall(-3_600_000);
  store.faults.cutOff();
  await world.advance(4_600);
  t.false(held.isHeld());
  t.true(held.signal.aborted);
});

const losses: readonly [string, (world: VirtualWorld, held: HeldLock) => void][] = [
  ['its key is deleted', (world) => world.cluster.delete({ prefix: LOCK })],
  ['its lease is revoked', (world) => world.cluster.revoke(world.cluster.leases[0]!)],
  ['its session key is deleted', (world) => world.cluster.delete({ prefix: 'test/session/' })],
];
for (const [what, act] of losses) {
  test(`a lock is lost at once when ${what} by somebody else`, async (t) => {
    const world = new VirtualWorld();
    const { coordinator } = await world.connect();
    const held = await world.settle(coordinator.lock('a').acquire());
    await world.advance(300);
    act(world, held);
    await world.advance(10);
    t.true(held.signal.aborted);
    t.true(held.signal.reason instanceof LockLostError);
    t.false(held.isHeld());
    await world.settle(held.release());
  });
}

test('a release deletes only its own create revision', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const held = await world.settle(coordinator.lock('a').acquire());
  const [key] = world.cluster.entries(LOCK);
  world.cluster.delete(key!.key);
  world.cluster.put(key!.key, 'somebody else');
  await world.settle(held.release());
  t.is(world.cluster.get(key!.key)?.value, 'somebody else');
});

test('a release whose answer was lost is repeated and does not take a newer key', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const held = await world.settle(coordinator.lock('a').acquire());
  store.faults.nextResponse('transact', 'drop');
  const releasing = held.release();
  const next = await world.settle(coordinator.lock('a').acquire());
  await world.settle(releasing);
  t.true(next.isHeld());
  t.is(world.cluster.entries(LOCK).length, 1);
});

test('with settles as the work does, and releases', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  t.is(await world.settle(coordinator.lock('a').with(() => 42)), 42);
  await t.throwsAsync(world.settle(coordinator.lock('a').with(() => Promise.reject(new Error('no luck')))), {
    message: 'no luck',
  });
  t.deepEqual(world.cluster.entries(LOCK), []);
});

test('with rejects with LockLostError when the lock was lost, whatever the work returned', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  let ended = false;
  const good = coordinator.lock('a').with(async (held) => {
    store.faults.cutOff();
    await new Promise((resolve) => held.signal.addEventListener('abort', resolve));
    ended = true;
    return 'done';
  });
  await t.throwsAsync(world.settle(good), { instanceOf: LockLostError });
  t.true(ended);
});

test('the error of work that failed under a lost lock is the cause', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const bad = coordinator.lock('a').with(async (held) => {
    await world.runtime.clock.flush();
    world.cluster.revoke(world.cluster.leases[0]!);
    await new Promise((resolve) => held.signal.addEventListener('abort', resolve));
    throw new Error('half done');
  });
  const error = await t.throwsAsync(world.settle(bad), { instanceOf: LockLostError });
  t.true(error.cause instanceof Error && error.cause.message === 'half done');
});

test('a release that etcd does not answer does not reject good work', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const done = coordinator.lock('a').with(() => {
    store.faults.cutOff();
    return 'done';
  });
  t.is(await world.settle(done), 'done');
});

test('a release that etcd does not answer is of unknown outcome to whoever waits for it', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect({ request: { timeoutMs: 500, deadlineMs: 1_000 } });
  const held = await world.settle(coordinator.lock('a').acquire());
  const restore = store.faults.cutOff();
  await t.throwsAsync(world.settle(held.release()), { instanceOf: OutcomeUnknownError });
  t.false(held.isHeld());
  restore();
  await world.advance(2_500);
  t.deepEqual(world.cluster.entries(LOCK), []);
});

test('the caller’s signal ends the waiting, and is forwarded to the work', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  await t.throwsAsync(coordinator.lock('a').acquire({ signal: AbortSignal.abort(new Error('too late')) }), {
    message: 'too late',
  });
  const abort = new AbortController();
  const working = coordinator.lock('a').with(
    async (held) => {
      abort.abort(new Error('stop'));
      t.is((held.signal.reason as Error).message, 'stop');
      t.true(held.isHeld());
      return 'stopped';
    },
    { signal: abort.signal },
  );
  t.is(await world.settle(working), 'stopped');
});

test('asking again inside with throws at once instead of hanging', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const outer = coordinator.lock('a').with(async () => {
    await t.throwsAsync(coordinator.lock('a').acquire(), { instanceOf: SelfDeadlockError });
    await t.throwsAsync(
      coordinator.lock('a').with(() => 1),
      { instanceOf: SelfDeadlockError },
    );
    t.is(await coordinator.lock('a').tryAcquire(), undefined);
    return coordinator.lock('b').with(() => 'another is fine');
  });
  t.is(await world.settle(outer), 'another is fine');
});

test('lockAll takes each once, in one order, so that overlapping sets do not wait in a circle', async (t) => {
  const world = new VirtualWorld();
  const one = await world.connect();
  const two = await world.connect();
  const rounds = [0, 1, 2, 3, 4].flatMap((round) => [
    one.coordinator.lockAll(['a', 'b', 'a']).with((held) => {
      t.true(held.isHeld());
      return [round, held.token('a'), held.token('b')];
    }),
    two.coordinator.lockAll(['b', 'a']).with((held) => [round, held.token('a'), held.token('b')]),
  ]);
  const done = await world.settle(Promise.all(rounds));
  t.is(done.length, 10);
  t.deepEqual(world.cluster.entries('test/lock/'), []);
});

test('inspect tells who holds and who waits, foreign clients included', async (t) => {
  const world = new VirtualWorld();
  const one = await world.connect({ instanceId: 'one' });
  const two = await world.connect({ instanceId: 'two' });
  const held = await world.settle(one.coordinator.lock('a').acquire());
  const waiting = two.coordinator.lock('a').acquire();
  await world.advance(100);
  world.cluster.put(`${LOCK}1234abcd`, '');
  const report = await world.settle(one.coordinator.lock('a').inspect());
  t.is(report.holder?.instanceId, 'one');
  t.is(report.holder?.token, held.token);
  t.deepEqual(
    report.waiters.map(({ instanceId }) => instanceId),
    ['two', undefined],
  );
  t.notThrows(() => JSON.stringify(report));
  await world.settle(held.release());
  await world.settle(waiting);
});

test('a process whose session is lost while it waits goes on waiting with a new one', async (t) => {
  const world = new VirtualWorld();
  const one = await world.connect();
  const held = await world.settle(one.coordinator.lock('a').acquire());
  const two = await world.connect();
  const waiting = two.coordinator.lock('a').acquire();
  await world.advance(100);
  world.cluster.revoke(world.cluster.leases[1]!);
  await world.advance(1_000);
  t.is(world.cluster.entries(LOCK).length, 2);
  await world.settle(held.release());
  t.true((await world.settle(waiting)).isHeld());
});

test('a key on the lease that nobody owns is found and deleted', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  await world.settle(coordinator.lock('b').acquire());
  world.cluster.put(`${LOCK}stray`, '', world.cluster.leases[0]);
  await world.advance(10_000);
  t.deepEqual(world.cluster.entries(LOCK), []);
  t.is(world.cluster.entries('test/lock/b/').length, 1);
});

test('a restore that takes the revision back gives the session up', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const snapshot = world.cluster.snapshot();
  for (let index = 0; index < 20; index += 1) world.cluster.put('test/other', String(index));
  const held = await world.settle(coordinator.lock('a').acquire());
  world.cluster.restore(snapshot);
  await world.advance(6_000);
  t.false(held.isHeld());
  t.true(world.runtime.logger.of('store.regressed').length > 0);
  const again = await world.settle(coordinator.lock('a').acquire());
  t.true(again.isHeld());
});

test('close waits for the work, releases, and leaves neither key nor timer', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  let stopped = false;
  const working = coordinator.lock('a').with(async (held) => {
    await new Promise((resolve) => held.signal.addEventListener('abort', resolve));
    t.true(held.signal.reason instanceof ClosedError);
    t.true(held.isHeld());
    stopped = true;
  });
  await world.advance(100);
  await world.settle(coordinator.close());
  await working;
  t.true(stopped);
  t.deepEqual(world.cluster.entries('test/'), []);
  t.deepEqual(world.cluster.leases, []);
  t.is(world.runtime.clock.pendingTimers, 0);
  t.is(world.cluster.openWatches, 0);
  t.is(coordinator.health.state, 'closed');
  await t.throwsAsync(coordinator.lock('a').acquire(), { instanceOf: ClosedError });
});

test('close never releases under work that will not end', async (t) => {
  const world = new VirtualWorld();
  const one = await world.connect();
  const two = await world.connect();
  void one.coordinator
    .lock('a')
    .with(() => new Promise(() => {}))
    .catch(() => {});
  await world.advance(100);
  await world.settle(one.coordinator.close({ drainMs: 1_000 }));
  t.is(world.cluster.entries(LOCK).length, 1);
  const waiting = two.coordinator.lock('a').acquire();
  await world.advance(2_000);
  t.is(world.cluster.entries(LOCK).length, 2);
  t.true((await world.settle(waiting)).isHeld());
});

test('the error of work that ended after the time to drain is the cause', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const late = coordinator.lock('a').with(async () => {
    await sleep(world.runtime.clock, 5_000);
    throw new Error('half done');
  });
  const ended = t.throwsAsync(late, { instanceOf: ClosedError });
  await world.advance(100);
  await world.settle(coordinator.close({ drainMs: 1_000 }));
  await world.advance(5_000);
  const error = await ended;
  t.true(error.cause instanceof Error && error.cause.message === 'half done');
});

test('close refuses those who wait', async (t) => {
  const world = new VirtualWorld();
  const one = await world.connect();
  const two = await world.connect();
  await world.settle(one.coordinator.lock('a').acquire());
  const waiting = two.coordinator.lock('a').acquire();
  await world.advance(100);
  const refused = t.throwsAsync(waiting, { instanceOf: ClosedError });
  await world.settle(two.coordinator.close());
  await refused;
  t.is(world.cluster.entries(LOCK).length, 1);
});

for (const method of ['grant', 'transact'] as const) {
  test(`close while the session is being opened (${method}) ends, and leaves neither key nor timer`, async (t) => {
    const world = new VirtualWorld();
    const { coordinator, store } = world.start();
    store.faults.nextResponse(method, { delayMs: 300 });
    await world.advance(200);
    t.is(world.cluster.leases.length, 1);
    await world.settle(coordinator.close(), 5_000);
    await world.advance(6_000);
    t.deepEqual(world.cluster.entries('test/'), []);
    t.deepEqual(world.cluster.leases, []);
    t.is(world.runtime.clock.pendingTimers, 0);
    t.is(world.cluster.openWatches, 0);
  });
}

const wrong: readonly [
  string,
  (lock: ReturnType<Awaited<ReturnType<VirtualWorld['connect']>>['coordinator']['lock']>) => unknown,
][] = [
  ['a negative timeout', (lock) => lock.acquire({ timeoutMs: -1 })],
  ['a timeout that is no number', (lock) => lock.acquire({ timeoutMs: Number.NaN })],
  ['a wait for recovery that is neither true nor false', (lock) => lock.acquire({ waitForRecovery: 'yes' as never })],
  ['an option that does not exist', (lock) => lock.acquire({ timeout: 5 } as never)],
  ['a signal that is none', (lock) => lock.acquire({ signal: {} as never })],
  ['work that is no function', (lock) => lock.with('work' as never)],
];
for (const [what, act] of wrong) {
  test(`${what} is refused before any call`, async (t) => {
    const world = new VirtualWorld();
    const { coordinator, store } = await world.connect();
    store.faults.onRequest(() => {
      t.fail('a call was made');
      return undefined;
    });
    const error = await t.throwsAsync(async () => act(coordinator.lock('a')));
    t.true(error instanceof TypeError || error instanceof RangeError);
  });
}

for (const name of ['', '\ud800', 'x'.repeat(2_000), 7 as never]) {
  test(`${JSON.stringify(name).slice(0, 20)} is no name for a lock`, (t) => {
    const { coordinator } = new VirtualWorld().start();
    t.throws(() => coordinator.lock(name), { instanceOf: TypeError });
  });
}
