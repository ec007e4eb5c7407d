import test from 'ava';
import {
  ClosedError,
  CoordinationUnavailableError,
  LeadershipLostError,
  LimitExceededError,
  LockTimeoutError,
  OutcomeUnknownError,
  WorkStuckError,
} from '../errors.ts';
import { unpackToken } from '../queue/token.ts';
import { VirtualWorld } from '../testing/virtual-world.ts';
import type { Standing } from './election.ts';
import type { Leadership } from './leadership.ts';
import { leaderReadiness } from './readiness.ts';

const QUEUE = 'test/election/reporter/';

async function pair() {
  const world = new VirtualWorld();
  const one = await world.connect();
  const two = await world.connect();
  return { world, one, two, first: one.coordinator.election('reporter'), second: two.coordinator.election('reporter') };
}

/** Work that ends when it is told to. */
function untilTold({ signal }: Leadership): Promise<string> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve('told'), { once: true });
  });
}

test('the value of the leader’s key is exactly what was proclaimed', async (t) => {
  const { world, first } = await pair();
  const leadership = await world.settle(first.campaign({ value: 'http://one' }));
  const [entry] = world.cluster.entries(QUEUE);
  t.is(entry?.value, 'http://one');
  t.is(unpackToken(leadership.token).revision, entry!.createRevision);
  await world.settle(leadership.proclaim('http://uno'));
  t.is(world.cluster.entries(QUEUE)[0]?.value, 'http://uno');
  t.is(world.cluster.entries(QUEUE)[0]?.createRevision, entry?.createRevision);
  await world.settle(leadership.resign());
  t.deepEqual(world.cluster.entries(QUEUE), []);
});

test('the next one is elected at once on a resignation, and terms rise', async (t) => {
  const { world, first, second } = await pair();
  const leadership = await world.settle(first.campaign());
  const waiting = second.campaign({ value: 'two' });
  await world.advance(1_000);
  await world.settle(leadership.resign());
  const next = await world.settle(waiting);
  t.true(next.token > leadership.token);
  t.false(leadership.isHeld());
  t.true(next.isHeld());
});

test('candidates of one process with different values stand for themselves', async (t) => {
  const { world, first } = await pair();
  const one = await world.settle(first.campaign({ value: 'a' }));
  const other = first.campaign({ value: 'b' });
  await world.advance(1_000);
  t.is(world.cluster.entries(QUEUE).length, 2);
  await world.settle(one.resign());
  await world.settle(other);
  t.is(world.cluster.entries(QUEUE)[0]?.value, 'b');
});

test('who gives up leaves no key, and contention is told from an outage', async (t) => {
  const { world, two, first, second } = await pair();
  const leadership = await world.settle(first.campaign());
  await t.throwsAsync(world.settle(second.campaign({ timeoutMs: 500 })), { instanceOf: LockTimeoutError });
  const abort = new AbortController();
  const waiting = second.campaign({ signal: abort.signal });
  await world.advance(100);
  abort.abort(new Error('no longer'));
  await t.throwsAsync(waiting, { message: 'no longer' });
  await world.advance(1_000);
  t.is(world.cluster.entries(QUEUE).length, 1);
  two.store.faults.cutOff();
  await world.advance(6_000);
  await t.throwsAsync(second.campaign(), { instanceOf: CoordinationUnavailableError });
  t.true(leadership.isHeld());
});

test('leader() names who leads, with its value and token, and clients of other packages without an instance', async (t) => {
  const { world, one, first, second } = await pair();
  t.is(await world.settle(second.leader()), undefined);
  const leadership = await world.settle(first.campaign({ value: 'here' }));
  const { instanceId } = one.coordinator;
  t.deepEqual(await world.settle(second.leader()), { instanceId, value: 'here', token: leadership.token });
  await world.settle(leadership.resign());
  world.cluster.put(`${QUEUE}7f`, 'a Go client');
  const foreign = await world.settle(second.leader());
  t.is(foreign?.instanceId, undefined);
  t.is(foreign?.value, 'a Go client');
});

test('leader() is not taken in by a key whose session has just ended', async (t) => {
  const { world, one, two, first, second } = await pair();
  await world.settle(first.campaign({ value: 'one' }));
  const waiting = second.campaign({ value: 'two' });
  await world.advance(100);
  let asked = 0;
  two.store.faults.onRequest((call) => {
    /* Between the question for the first key and the one for its session, the leader's lease ends. */
    if (call.method === 'transact' && asked++ === 1) world.cluster.revoke(leaseOf(one.coordinator));
    return undefined;
  });
  const leader = await world.settle(second.leader());
  t.is(leader?.value, 'two');
  t.is(leader?.instanceId, two.coordinator.instanceId);
  t.true((await world.settle(waiting)).isHeld());
});

function leaseOf(coordinator: { readonly session: { readonly lease: string } | undefined }): bigint {
  return BigInt(`0x${coordinator.session?.lease ?? '0'}`);
}

test('proclaiming is refused once the key is gone, and what is not answered is of unknown outcome', async (t) => {
  const { world, one, first } = await pair();
  const leadership = await world.settle(first.campaign({ value: 'a' }));
  const heal = one.store.faults.cutOff();
  const unanswered = world.settle(leadership.proclaim('b', { signal: abortAfter(world, 300) }));
  await t.throwsAsync(unanswered, { instanceOf: OutcomeUnknownError });
  heal();
  await world.advance(1_000);
  await world.settle(leadership.proclaim('c'));
  t.is(world.cluster.entries(QUEUE)[0]?.value, 'c');
  world.cluster.delete({ prefix: QUEUE });
  await t.throwsAsync(world.settle(leadership.proclaim('d')), { instanceOf: LeadershipLostError });
  t.deepEqual(world.cluster.entries(QUEUE), []);
});

test('a proclamation that was given up cannot land over a later one', async (t) => {
  const { world, one, first } = await pair();
  const leadership = await world.settle(first.campaign({ value: 'a' }));
  one.store.faults.nextRequest('transact', 'park');
  await t.throwsAsync(world.settle(leadership.proclaim('late', { signal: abortAfter(world, 200) })), {
    instanceOf: OutcomeUnknownError,
  });
  await world.settle(leadership.proclaim('new'));
  t.is(one.store.faults.releaseParked(), 1);
  await world.advance(100);
  t.is(world.cluster.entries(QUEUE)[0]?.value, 'new');
});

function abortAfter(world: VirtualWorld, ms: number): AbortSignal {
  const abort = new AbortController();
  world.runtime.clock.schedule(ms, () => abort.abort(new Error('too long')));
  return abort.signal;
}

test('lead settles as its work does, and resigns', async (t) => {
  const { world, first } = await pair();
  t.is(await world.settle(first.lead(() => 42)), 42);
  await t.throwsAsync(world.settle(first.lead(() => Promise.reject(new Error('no luck')))), { message: 'no luck' });
  t.deepEqual(world.cluster.entries(QUEUE), []);
});

test('lead steps down by its own clock before anybody else is elected, waits for its work, and leads again later', async (t) => {
  const { world, one, first, second } = await pair();
  const terms: bigint[] = [];
  const told: unknown[] = [];
  const abort = new AbortController();
  let elected = 0;
  const leading = first.lead(
    async (leadership) => {
      terms.push(leadership.token);
      elected += 1;
      await untilTold(leadership);
      told.push(leadership.signal.reason);
      t.false(leadership.isHeld() && !abort.signal.aborted);
      t.is(elected, 1);
      elected -= 1;
      throw new Error('whatever the work says of a lost leadership');
    },
    { signal: abort.signal },
  );
  const refused = t.throwsAsync(leading, { message: 'shutdown' });
  await world.advance(100);
  const waiting = second.campaign();
  const heal = one.store.faults.cutOff();
  const successor = await world.settle(waiting);
  t.is(told.length, 1);
  t.true(told[0] instanceof LeadershipLostError);
  heal();
  await world.advance(10_000);
  t.is(elected, 0);
  await world.settle(successor.resign());
  await world.advance(1_000);
  t.is(terms.length, 2);
  t.true(successor.token > (terms[0] ?? 0n) && (terms[1] ?? 0n) > successor.token);
  abort.abort(new Error('shutdown'));
  await world.advance(100);
  await refused;
  t.deepEqual(world.cluster.entries(QUEUE), []);
});

test('lead campaigns again after a loss, whatever the work makes of it', async (t) => {
  for (const thrown of [new Error('stopped'), Object.create(null), undefined]) {
    const { world, one, first } = await pair();
    let terms = 0;
    const leading = first.lead(async (leadership) => {
      terms += 1;
      if (terms === 2) return 'led again';
      world.cluster.revoke(leaseOf(one.coordinator));
      await untilTold(leadership);
      throw thrown;
    });
    t.is(await world.settle(leading), 'led again');
  }
});

test('a leader whose key somebody else deletes is told within a delivery, from the first moment on', async (t) => {
  const { world, first } = await pair();
  const leadership = await world.settle(first.campaign());
  world.cluster.delete({ prefix: QUEUE });
  await world.advance(10);
  t.false(leadership.isHeld());
  t.true(leadership.signal.reason instanceof LeadershipLostError);
});

test('lead waits while etcd has no space for a candidate, and leads when it has', async (t) => {
  const { world, first } = await pair();
  world.cluster.exceedQuota();
  const leading = first.lead(() => 'led');
  await world.advance(30_000);
  world.cluster.disarmQuota();
  t.is(await world.settle(leading), 'led');
});

test('on its signal, lead tells the work, keeps the key until it has ended, and rejects with the reason', async (t) => {
  const { world, first } = await pair();
  const abort = new AbortController();
  const leading = first.lead(
    async (leadership) => {
      await untilTold(leadership);
      t.is((leadership.signal.reason as Error).message, 'shutdown');
      t.true(leadership.isHeld());
      await world.runtime.clock.flush();
      t.is(world.cluster.entries(QUEUE).length, 1);
    },
    { signal: abort.signal },
  );
  const refused = t.throwsAsync(leading, { message: 'shutdown' });
  await world.advance(100);
  abort.abort(new Error('shutdown'));
  await world.advance(1_000);
  await refused;
  t.deepEqual(world.cluster.entries(QUEUE), []);
});

test('work that will not end keeps the key, and the error says so; once it ends, the key goes', async (t) => {
  const { world, first, second } = await pair();
  const abort = new AbortController();
  let end = (): void => {};
  const work = (): Promise<void> => new Promise((resolve) => (end = resolve));
  const leading = first.lead(work, { signal: abort.signal, drainMs: 1_000 });
  const stuck = t.throwsAsync(leading, { instanceOf: WorkStuckError });
  await world.advance(100);
  const waiting = second.campaign();
  let isElected = false;
  void waiting.then(() => (isElected = true));
  abort.abort(new Error('shutdown'));
  await world.advance(30_000);
  const error = await stuck;
  t.is(error.code, 'WORK_STUCK');
  t.regex(error.message, /still ran 1000 ms later.*kept until the work ends/);
  t.is((error.cause as Error).message, 'shutdown');
  t.false(isElected);
  end();
  t.true((await world.settle(waiting)).isHeld());
});

test('onStuck: exit ends the process under work that does not stop', async (t) => {
  const { world, one, first } = await pair();
  const leading = first.lead(() => new Promise(() => {}), { drainMs: 500, onStuck: 'exit' });
  const stuck = t.throwsAsync(leading, { instanceOf: WorkStuckError, message: /somebody else may lead already/ });
  await world.advance(100);
  world.cluster.revoke(leaseOf(one.coordinator));
  await world.advance(400);
  t.deepEqual(world.runtime.exits, []);
  await world.advance(500);
  await stuck;
  t.deepEqual(world.runtime.exits, [70]);
});

test('a candidate whose session is lost is no leader when its turn comes', async (t) => {
  const { world, two, first, second } = await pair();
  const leadership = await world.settle(first.campaign());
  const waiting = second.campaign({ value: 'two' });
  await world.advance(500);
  const before = world.cluster.entries(QUEUE)[1]?.createRevision;
  world.cluster.revoke(leaseOf(two.coordinator));
  await world.advance(2_000);
  await world.settle(leadership.resign());
  const next = await world.settle(waiting);
  t.true(unpackToken(next.token).revision > (before ?? 0n));
  t.is(world.cluster.entries(QUEUE).length, 1);
  t.true(next.isHeld());
});

test('closing tells the leader, waits for its work, resigns, and lead rejects with ClosedError', async (t) => {
  const { world, one, first, second } = await pair();
  const leading = t.throwsAsync(first.lead(untilTold), { instanceOf: ClosedError });
  await world.advance(100);
  const waiting = second.campaign();
  await world.settle(one.coordinator.close());
  await leading;
  t.true((await world.settle(waiting)).isHeld());
  t.throws(() => first.observe(), { instanceOf: ClosedError });
});

test('closing ends a lead that rests between two terms, and leaves no timer of it', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const terms: bigint[] = [];
  const leading = coordinator.election('reporter').lead(async (leadership) => {
    world.cluster.revoke(leaseOf(coordinator));
    await untilTold(leadership);
    terms.push(leadership.token);
  });
  const ended = t.throwsAsync(leading, { instanceOf: ClosedError });
  while (terms.length < 4) await world.advance(10);
  await world.settle(coordinator.close());
  t.is(world.runtime.clock.pendingTimers, 0);
  await ended;
});

test('work that has resigned by itself and goes on is told of the signal, and of closing', async (t) => {
  const { world, one, first } = await pair();
  const work = async (leadership: Leadership): Promise<string> => {
    await leadership.resign();
    return untilTold(leadership);
  };
  const abort = new AbortController();
  const leading = t.throwsAsync(first.lead(work, { signal: abort.signal }), { message: 'shutdown' });
  await world.advance(1_000);
  abort.abort(new Error('shutdown'));
  await world.settle(leading, 100);
  const again = t.throwsAsync(first.lead(work), { instanceOf: ClosedError });
  await world.advance(1_000);
  await world.settle(one.coordinator.close(), 1_000);
  await again;
});

test('the standing of a process is right at any moment, with no call', async (t) => {
  const { world, one, first } = await pair();
  const asked = () => {
    let body = '';
    const response = { statusCode: 0, setHeader: () => {}, end: (text: string) => (body = text) };
    leaderReadiness(first)(undefined, response);
    return {
      status: response.statusCode,
      body: JSON.parse(body) as Pick<Standing, 'isLeader' | 'remainingMs'> & { readonly token?: string },
    };
  };
  t.deepEqual(asked(), { status: 503, body: { isLeader: false, remainingMs: 0 } });
  const leadership = await world.settle(first.campaign());
  const now = asked();
  t.is(now.status, 200);
  t.is(now.body.token, String(leadership.token));
  t.true(now.body.remainingMs > 0);
  one.store.faults.cutOff();
  world.runtime.clock.suspend(10_000);
  t.is(asked().status, 503);
});

const wrong: readonly [string, () => unknown][] = [
  ['value', () => election().campaign({ value: 7 as never })],
  ['a value that etcd could not keep as it is', () => election().campaign({ value: 'a\ud800' })],
  ['timeoutMs', () => election().campaign({ timeoutMs: -1 })],
  ['waitForRecovery', () => election().campaign({ waitForRecovery: 'yes' as never })],
  ['an option of leader', () => election().leader({ consistency: 'any' } as never)],
  ['onStuck', () => election().lead(() => 0, { onStuck: 'hope' as never })],
  ['drainMs', () => election().lead(() => 0, { drainMs: Number.NaN })],
  ['the work', () => election().lead('work' as never)],
  ['an unknown option', () => election().campaign({ priority: 1 } as never)],
];
test('a value that is too large is refused before anything is sent, with its size and the limit', async (t) => {
  const { world, one, first } = await pair();
  const leadership = await world.settle(first.campaign());
  one.store.faults.onRequest((call) => {
    if (call.method === 'transact') t.fail('a transaction was sent');
    return undefined;
  });
  const value = 'ü'.repeat(750_001);
  for (const call of [first.campaign({ value }), first.lead(() => 0, { value }), leadership.proclaim(value)]) {
    await t.throwsAsync(call, { instanceOf: LimitExceededError, message: /1500000 .* 1500002/ });
  }
});

function election() {
  return new VirtualWorld().start().coordinator.election('reporter');
}
for (const [what, call] of wrong) {
  test(`${what} that cannot be is refused`, async (t) => {
    const error = await t.throwsAsync(async () => call());
    t.true(error instanceof TypeError || error instanceof RangeError);
  });
}
