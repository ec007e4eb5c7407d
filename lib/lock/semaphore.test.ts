import test from 'ava';
import {
  ClosedError,
  CoordinationUnavailableError,
  LockLostError,
  LockTimeoutError,
  SelfDeadlockError,
} from '../errors.ts';
import { unpackToken } from '../queue/token.ts';
import { sleep } from '../runtime/clock.ts';
import { VirtualWorld } from '../testing/virtual-world.ts';
import type { HeldPermit, Semaphore } from './semaphore.ts';

const QUEUE = 'test/semaphore/gpu/';
const SLOTS = 'test/semaphore-slot/gpu/';

async function scene(processes = 1, permits = 2) {
  const world = new VirtualWorld();
  const all = [];
  for (let index = 0; index < processes; index += 1) all.push(await world.connect({ instanceId: `p${index}` }));
  const semaphores = all.map(({ coordinator }) => coordinator.semaphore('gpu', { permits }));
  const left = (): number => world.cluster.entries(QUEUE).length + world.cluster.entries(SLOTS).length;
  const take = (by = 0, options = {}): Promise<HeldPermit> => world.settle(semaphores[by]!.acquire(options));
  return { world, all, semaphores, semaphore: semaphores[0]!, store: all[0]!.store, take, left };
}

/** What becomes of a call that may wait. */
function watched<T>(promise: Promise<T>): { value: T | undefined } {
  const outcome: { value: T | undefined } = { value: undefined };
  void promise.then((value) => (outcome.value = value));
  return outcome;
}

test('as many as there are permits hold at a time, each with a slot of its own; the next one gets what is given back', async (t) => {
  const { world, semaphores, take, left } = await scene(3);
  const [one, two] = [await take(0), await take(1)];
  t.deepEqual([one.slot, two.slot], [0, 1]);
  const waiting = watched(semaphores[2]!.acquire());
  await world.advance(1_000);
  t.is(waiting.value, undefined);
  await world.settle(two.release());
  await world.advance(10);
  t.is(waiting.value?.slot, 1);
  t.true(waiting.value!.token > two.token, 'tokens of a slot rise');
  t.true(one.isHeld());
  t.false(two.isHeld());
  await world.settle(Promise.all([one.release(), waiting.value!.release()]));
  t.is(left(), 0);
});

test('a permit costs two calls, and giving it back one', async (t) => {
  const { world, store, take, left } = await scene();
  const calls: string[] = [];
  store.faults.onRequest(({ method }) => {
    calls.push(method);
    return undefined;
  });
  const held = await take();
  t.deepEqual(calls, ['transact', 'transact']);
  t.is(unpackToken(held.token).revision, world.cluster.entries(SLOTS)[0]!.createRevision);
  const { revision } = world.cluster;
  await world.settle(held.release());
  t.is(calls.length, 3);
  t.is(world.cluster.revision, revision + 1n, 'slot and place go together');
  t.is(left(), 0);
});

test('who asked first is served first, also when a later one was granted at its side before', async (t) => {
  const { world, semaphores, take } = await scene(4);
  const held = [await take(0), await take(0)];
  const order: number[] = [];
  for (const by of [3, 1, 2]) {
    void semaphores[by]!.acquire().then(() => order.push(by));
    await world.advance(20);
  }
  await world.settle(held[1]!.release());
  await world.advance(20);
  t.deepEqual(order, [3]);
  await world.settle(held[0]!.release());
  await world.advance(20);
  t.deepEqual(order, [3, 1]);
});

test('of one process no more than there are permits stand in etcd; the others wait here, in order', async (t) => {
  const { world, semaphore, take } = await scene(1, 2);
  const held = [await take(), await take()];
  const order: number[] = [];
  const waiting = Array.from({ length: 20 }, (_, index) =>
    semaphore.with(() => {
      order.push(index);
    }),
  );
  await world.advance(100);
  t.is(world.cluster.entries(QUEUE).length, 2);
  await world.settle(Promise.all(held.map((permit) => permit.release())));
  await world.settle(Promise.all(waiting));
  t.deepEqual(
    order.toSorted((a, b) => a - b),
    Array.from({ length: 20 }, (_, index) => index),
  );
  t.is(order[0], 0);
});

test('waiting here ends by timeout, by signal, by an outage and by closing, each with its own error', async (t) => {
  const { world, all, semaphore, store, take } = await scene(1, 1);
  await take();
  const abort = new AbortController();
  const [timeout, signal] = [
    t.throwsAsync(semaphore.acquire({ timeoutMs: 500 }), { instanceOf: LockTimeoutError }),
    t.throwsAsync(semaphore.acquire({ signal: abort.signal }), { message: 'enough' }),
  ];
  await world.advance(100);
  abort.abort(new Error('enough'));
  await world.settle(Promise.all([timeout, signal]));
  const heal = store.faults.cutOff();
  const outage = t.throwsAsync(semaphore.acquire(), { instanceOf: CoordinationUnavailableError });
  const patient = t.throwsAsync(semaphore.acquire({ waitForRecovery: true }), { instanceOf: ClosedError });
  await world.advance(20_000);
  await world.settle(outage);
  heal();
  await world.settle(all[0]!.coordinator.close({ drainMs: 0 }));
  await world.settle(patient);
});

test('a try takes a permit or says that there is none, and leaves nothing behind', async (t) => {
  const { world, semaphores, left, take } = await scene(2, 1);
  const held = await world.settle(semaphores[0]!.tryAcquire());
  t.is(held?.slot, 0);
  t.is(await world.settle(semaphores[1]!.tryAcquire()), undefined);
  await world.advance(100);
  t.is(left(), 2);
  await world.settle(held!.release());
  t.is((await take(1)).slot, 0);
});

test('a claim that was not answered is recognised, and one that is applied late comes to nothing', async (t) => {
  for (const fault of ['answer', 'request'] as const) {
    const { world, semaphore, store, left } = await scene(1, 3);
    let claims = 0;
    const isClaim = (call: { method: string; transaction?: { then: readonly { type: string }[] } }): boolean =>
      call.method === 'transact' && call.transaction!.then.filter(({ type }) => type === 'put').length === 2;
    if (fault === 'answer') {
      store.faults.onResponse((call) => {
        if (!isClaim(call)) return undefined;
        claims += 1;
        return claims === 1 ? 'drop' : undefined;
      });
    } else {
      store.faults.onRequest((call) => {
        if (!isClaim(call)) return undefined;
        claims += 1;
        return claims === 1 ? 'park' : undefined;
      });
    }
    const held = await world.settle(semaphore.acquire());
    t.true(claims > 1);
    store.faults.releaseParked();
    await world.advance(20_000);
    t.is(world.cluster.entries(SLOTS).length, 1, fault);
    t.true(held.isHeld());
    await world.settle(held.release());
    await world.advance(20_000);
    t.is(left(), 0, fault);
  }
});

test('a claim that is applied late takes no second slot, also where the one it asked for is free again', async (t) => {
  const { world, semaphores, all, take } = await scene(2, 2);
  let claims = 0;
  all[0]!.store.faults.onRequest((call) => {
    if (call.method !== 'transact' || call.transaction.then.filter(({ type }) => type === 'put').length !== 2)
      return undefined;
    claims += 1;
    return claims === 1 ? 'park' : undefined;
  });
  const asking = semaphores[0]!.acquire();
  await world.advance(100);
  const other = await take(1);
  t.is(other.slot, 0);
  const held = await world.settle(asking);
  t.is(held.slot, 1);
  await world.settle(other.release());
  all[0]!.store.faults.releaseParked();
  await world.advance(10);
  t.deepEqual(
    world.cluster.entries(SLOTS).map(({ key }) => key),
    [`${SLOTS}1`],
  );
});

test('who gives up while its claim is unanswered leaves no slot behind', async (t) => {
  const { world, semaphore, store, left } = await scene();
  store.faults.onResponse((call) =>
    call.method === 'transact' && call.transaction.then.filter(({ type }) => type === 'put').length === 2
      ? 'drop'
      : undefined,
  );
  await t.throwsAsync(world.settle(semaphore.acquire({ timeoutMs: 300 })));
  await world.advance(30_000);
  t.is(left(), 0);
});

test('a lost session takes slot and place along, and the work is told', async (t) => {
  const { world, all, semaphores, take } = await scene(2, 1);
  const working = t.throwsAsync(
    semaphores[0]!.with((held) => new Promise((resolve) => held.signal.addEventListener('abort', resolve))),
    { instanceOf: LockLostError },
  );
  await world.advance(10);
  world.cluster.revoke(BigInt(`0x${all[0]!.coordinator.session!.lease}`));
  const next = await take(1);
  t.is(next.slot, 0);
  await world.settle(working);
});

test('slots that one process asks for at the same time are two, and the audit takes neither away', async (t) => {
  const { world, semaphore, left } = await scene(1, 3);
  const held = await world.settle(Promise.all([semaphore.acquire(), semaphore.acquire(), semaphore.acquire()]));
  t.deepEqual(
    held.map(({ slot }) => slot).toSorted((a, b) => a - b),
    [0, 1, 2],
  );
  await world.advance(30_000);
  t.true(held.every((permit) => permit.isHeld()));
  t.is(left(), 6);
});

test('a slot, or a place, that is deleted by hand is a loss that is seen, and the other key goes, too', async (t) => {
  for (const prefix of [SLOTS, QUEUE]) {
    const { world, take, left } = await scene(2, 1);
    const held = await take(0);
    await world.advance(500);
    world.cluster.delete({ prefix });
    await world.advance(100);
    t.false(held.isHeld());
    t.true(held.signal.reason instanceof LockLostError);
    t.is(left(), 0, prefix);
    t.true((await take(1)).isHeld());
  }
});

test('tokens of a slot rise, also where the epoch was raised between the queue and the claim', async (t) => {
  const { world, all, semaphores, take } = await scene(2, 2);
  let claims = 0;
  all[0]!.store.faults.onRequest((call) => {
    if (call.method !== 'transact' || call.transaction.then.filter(({ type }) => type === 'put').length !== 2)
      return undefined;
    claims += 1;
    return claims === 1 ? { delayMs: 300 } : undefined;
  });
  const asking = semaphores[0]!.acquire();
  await world.advance(100);
  world.cluster.put('test/epoch', '1');
  const other = await take(1);
  await world.settle(other.release());
  const held = await world.settle(asking);
  t.is(held.slot, other.slot);
  t.true(held.token > other.token);
});

test('waiters of two epochs in one process do not end each other’s watch', async (t) => {
  const { world, all, semaphores, take } = await scene(2, 1);
  await take(1);
  let watches = 0;
  all[0]!.store.faults.onRequest(({ method }) => {
    if (method === 'watch') watches += 1;
    return undefined;
  });
  const wide = all[0]!.coordinator.semaphore('gpu', { permits: 2 });
  const held = await world.settle(wide.acquire());
  const waiting = [semaphores[0]!.acquire().catch(() => {}), wide.acquire().catch(() => {})];
  await world.advance(1_000);
  world.cluster.put('test/epoch', '1');
  waiting.push(wide.acquire().catch(() => {}));
  await world.advance(30_000);
  t.true(watches < 12, `${watches} watches`);
  t.true(held.isHeld());
  await world.settle(all[0]!.coordinator.close({ drainMs: 0 }));
  await world.settle(Promise.all(waiting));
});

test('a try that is refused writes nothing, so it is in the way of no other', async (t) => {
  const { world, semaphores, take } = await scene(2);
  const held = [await take(0), await take(0)];
  const { revision } = world.cluster;
  t.is(await world.settle(semaphores[1]!.tryAcquire()), undefined);
  t.is(world.cluster.revision, revision);
  await world.settle(held[1]!.release());
  const permit = await world.settle(semaphores[1]!.tryAcquire());
  t.is(permit?.slot, 1);
  t.is(await world.settle(semaphores[0]!.tryAcquire()), undefined);
});

test('where nobody waits and many try, again and again, one of them has what was given back', async (t) => {
  const { world, all, semaphores, take } = await scene(4);
  for (const { store } of all) store.faults.onRequest(() => ({ delayMs: 5 }));
  const held = [await take(0), await take(0)];
  let winner: HeldPermit | undefined;
  const tries = semaphores.map(async (semaphore, index) => {
    for (let pauseMs = index; winner === undefined; pauseMs = 1) {
      await sleep(world.runtime.clock, pauseMs);
      winner = (await semaphore.tryAcquire()) ?? winner;
    }
  });
  await world.advance(100);
  await world.settle(held[1]!.release());
  await world.settle(Promise.race([Promise.all(tries), sleep(world.runtime.clock, 1_000)]));
  t.is(winner?.slot, 1);
});

test('where every slot is taken by somebody who left the queue, a wait is one behind a holder, and a try says so', async (t) => {
  const { world, semaphores } = await scene(1, 1);
  world.cluster.put(`${SLOTS}0`, 'somebody');
  await t.throwsAsync(world.settle(semaphores[0]!.acquire({ timeoutMs: 500 })), { instanceOf: LockTimeoutError });
  t.is(await world.settle(semaphores[0]!.tryAcquire()), undefined);
  world.cluster.delete(`${SLOTS}0`);
  t.truthy(await world.settle(semaphores[0]!.tryAcquire()));
});

test('whoever waits in the process while etcd is away is not told that somebody holds it', async (t) => {
  const { world, semaphore, store } = await scene(1, 1);
  store.faults.cutOff();
  const [first, second] = [
    t.throwsAsync(semaphore.acquire({ timeoutMs: 1_000 }), { instanceOf: CoordinationUnavailableError }),
    t.throwsAsync(semaphore.acquire({ timeoutMs: 900 }), { instanceOf: CoordinationUnavailableError }),
  ];
  await world.settle(Promise.all([first, second]));
});

test('a timeout after the wait in the process names all of it', async (t) => {
  const { world, semaphores, take } = await scene(2, 1);
  const held = await take(0);
  const waiting = t.throwsAsync(semaphores[0]!.acquire({ timeoutMs: 1_000 }), { message: /all of the 1000 ms/ });
  await world.advance(500);
  const other = semaphores[1]!.acquire();
  await world.settle(held.release());
  await world.settle(other);
  await world.settle(waiting);
});

test('work that holds all permits and asks for one more is told, before it hangs', async (t) => {
  const { world, semaphore } = await scene(1, 2);
  await world.settle(
    semaphore.with(() =>
      semaphore.with(async () => {
        await t.throwsAsync(semaphore.acquire(), { instanceOf: SelfDeadlockError });
      }),
    ),
  );
});

test('inspect tells the holders by their slots, and who waits', async (t) => {
  const { world, semaphores, take } = await scene(3);
  const held = [await take(0), await take(1)];
  const waiting = semaphores[2]!.acquire();
  await world.advance(100);
  const { holders, waiters } = await world.settle(semaphores[0]!.inspect());
  t.deepEqual(
    holders.map(({ instanceId, slot, token }) => ({ instanceId, slot, token })),
    [
      { instanceId: 'p0', slot: 0, token: held[0]!.token },
      { instanceId: 'p1', slot: 1, token: held[1]!.token },
    ],
  );
  t.deepEqual(
    waiters.map(({ instanceId }) => instanceId),
    ['p2'],
  );
  t.like(JSON.parse(JSON.stringify(holders[0])), { token: String(held[0]!.token) });
  await world.settle(held[0]!.release());
  await world.settle(waiting);
});

test('what cannot be a number of permits is refused by its name', async (t) => {
  const { all } = await scene();
  const open = (options: object): Semaphore => all[0]!.coordinator.semaphore('gpu', options as { permits: number });
  t.throws(() => open(undefined as never), { instanceOf: TypeError, message: /options of semaphore.*got undefined/ });
  t.throws(() => open({}), { instanceOf: RangeError, message: /permits/ });
  t.throws(() => open({ permits: 0 }), { instanceOf: RangeError, message: /permits/ });
  t.throws(() => open({ permits: 1, slots: 2 }), { instanceOf: TypeError, message: /slots/ });
});

test('the compare of a permit is that of its slot', async (t) => {
  const { world, take } = await scene();
  const held = await take();
  const [compare] = held.ifHeld();
  t.deepEqual({ ...compare }, { key: `${SLOTS}0`, createRevision: world.cluster.get(`${SLOTS}0`)!.createRevision });
  t.deepEqual(JSON.parse(JSON.stringify(held)), { name: 'gpu', token: String(held.token), slot: 0 });
});

test('a release that arrives after a restore does not take the slot that somebody else came to at the same revision', async (t) => {
  const { world, all, semaphores, take } = await scene(2, 1);
  const snapshot = world.cluster.snapshot();
  const held = await take(0);
  const { createRevision } = world.cluster.entries(SLOTS)[0]!;
  all[0]!.store.faults.onRequest(() => 'park');
  void held.release().catch(() => {});
  await world.advance(10);
  world.cluster.restore(snapshot);
  const next = await world.settle(semaphores[1]!.acquire({ waitForRecovery: true }));
  const [slot] = world.cluster.entries(SLOTS);
  t.is(slot?.createRevision, createRevision, 'another history came to the same revision');
  all[0]!.store.faults.releaseParked();
  await world.advance(10);
  t.true(next.isHeld());
  t.deepEqual(world.cluster.entries(SLOTS), [slot!]);
});

test('an epoch that is none, found with the slot, leaves no slot behind', async (t) => {
  const { world, semaphore, store, left } = await scene(1, 3);
  store.faults.onRequest((call) => {
    const isClaim =
      call.method === 'transact' && call.transaction.then.filter(({ type }) => type === 'put').length === 2;
    if (isClaim) world.cluster.put('test/epoch', 'none');
    return undefined;
  });
  await t.throwsAsync(world.settle(semaphore.acquire()));
  await world.advance(100);
  t.is(left(), 0);
});
