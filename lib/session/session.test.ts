import test from 'ava';
import { MemoryCluster } from '../store/memory/memory-cluster.ts';
import type { MemoryStore } from '../store/memory/memory-store.ts';
import { testRuntime, type TestRuntime } from '../testing/test-runtime.ts';
import { Session, type KeyOwner } from './session.ts';
import { marginMs } from './ttl.ts';

const TTL_MS = 6_000;
/* A tenth is the margin. */
const VALID_MS = 5_400;
const LEASE = 7n;

interface Scene {
  readonly runtime: TestRuntime;
  readonly cluster: MemoryCluster;
  readonly store: MemoryStore;
  readonly session: Session;
  readonly failures: string[];
  readonly renewals: number[];
}

/** A session on a lease that has just been granted. */
async function open(): Promise<Scene> {
  const runtime = testRuntime();
  const cluster = new MemoryCluster(runtime);
  const store = cluster.connect();
  const failures: string[] = [];
  const renewals: number[] = [];
  store.faults.onRequest(({ method }) => {
    if (method === 'renew') renewals.push(runtime.clock.elapsedMs);
    return undefined;
  });
  const at = runtime.clock.now();
  const { ttlMs } = await store.grant(LEASE, TTL_MS, { timeoutMs: 1_000 });
  const health = { contact: () => {}, failure: (reason: string) => void failures.push(reason) };
  const identity = { lease: LEASE, key: 'test/session/7', value: '{}' };
  const session = new Session(runtime, store, health, identity, { at, ttlMs }, { marginMs, attemptTimeoutMs: 1_000 });
  return { runtime, cluster, store, session, failures, renewals };
}

function owner(key = 'test/lock/a/7-x'): KeyOwner & { readonly losses: string[] } {
  const losses: string[] = [];
  return { key, createRevision: 5n, losses, lost: ({ message }) => losses.push(message) };
}

test('validity is the granted TTL less the margin, from before the grant was sent', async (t) => {
  const { runtime, store, session } = await open();
  t.is(session.ttlMs, TTL_MS);
  t.is(session.remainingMs(), VALID_MS);
  store.faults.cutOff();
  await runtime.clock.advance(VALID_MS - 1);
  t.true(session.isValid());
  t.is(session.remainingMs(), 1);
  t.false(session.signal.aborted);
  await runtime.clock.advance(1);
  t.false(session.isValid());
  t.true(session.signal.aborted);
  t.is(session.expiresInMs(), 600);
});

test('an answered renewal moves the validity to its own sending, however late the answer', async (t) => {
  const { runtime, store, session, renewals } = await open();
  await runtime.clock.flush();
  store.faults.nextResponse('renew', { delayMs: 900 });
  await runtime.clock.advance(2_900);
  const [first, sentAtMs = 0] = renewals;
  t.is(first, 0, 'the first is sent at once');
  t.true(sentAtMs > 0 && sentAtMs <= TTL_MS / 3);
  t.is(session.remainingMs(), sentAtMs + VALID_MS - 2_900);
});

test('a renewal comes before each third of the TTL, and one lost answer costs nothing', async (t) => {
  const { runtime, store, session, failures, renewals } = await open();
  store.faults.nextResponse('renew', 'drop');
  await runtime.clock.advance(60_000);
  t.true(session.isValid());
  t.is(failures.length, 1);
  t.true(renewals.length >= 30 && renewals.length <= 36, String(renewals.length));
});

test('a renewal that is answered after the end does not revive the session', async (t) => {
  const { runtime, store, cluster, session } = await open();
  store.faults.onRequest(({ method }) => (method === 'renew' ? 'drop' : undefined));
  await runtime.clock.advance(4_500);
  store.faults.heal();
  store.faults.onResponse(({ method }) => (method === 'renew' ? { delayMs: 999 } : undefined));
  await runtime.clock.advance(2_000);
  t.true(session.signal.aborted);
  t.false(session.isValid());
  t.deepEqual(cluster.leases, [LEASE]);
});

test('an answer that the lease is gone ends the session at once, and tells every owner once', async (t) => {
  const { runtime, cluster, session } = await open();
  const owners = [owner('a'), owner('b')];
  for (const each of owners) session.own(each);
  cluster.revoke(LEASE);
  await runtime.clock.advance(2_000);
  t.true(session.signal.aborted);
  for (const { losses } of owners) t.deepEqual(losses, ['etcd answered that the lease is gone']);
  session.lose(new Error('again'));
  t.is(owners[0]?.losses.length, 1);
  t.is(session.owners.size, 0);
});

test('an owner that comes to a session that is lost is told before it can wait for anything', async (t) => {
  const { session } = await open();
  session.lose(new Error('gone'));
  const late = owner();
  session.own(late);
  t.deepEqual(late.losses, ['gone']);
  t.is(session.owners.size, 0);
});

test('a wall clock that is set forward ends the validity, and set back again does not revive it', async (t) => {
  const { runtime, session } = await open();
  runtime.clock.jumpWall(3_600_000);
  t.false(session.isValid());
  runtime.clock.jumpWall(-3_600_000);
  t.false(session.isValid());
  await runtime.clock.advance(0);
  t.true(session.signal.aborted);
});

test('a wall clock that is set back lengthens nothing', async (t) => {
  const { runtime, store, session } = await open();
  store.faults.cutOff();
  await runtime.clock.advance(1_000);
  runtime.clock.jumpWall(-60_000);
  t.is(session.remainingMs(), VALID_MS - 1_000);
});

test('a machine that was suspended knows when it is asked, and its owners right after', async (t) => {
  const { runtime, session } = await open();
  const held = owner();
  session.own(held);
  runtime.clock.suspend(VALID_MS);
  t.false(session.isValid());
  await runtime.clock.advance(0);
  t.is(held.losses.length, 1);
});

test('the deletion of the own key is noticed within one delivery', async (t) => {
  const { runtime, cluster, session } = await open();
  cluster.put(session.identity.key, session.identity.value, LEASE);
  session.advance(cluster.revision);
  void session.watchOwnKey();
  await runtime.clock.flush();
  cluster.put(session.identity.key, session.identity.value, LEASE);
  await runtime.clock.flush();
  t.true(session.isValid());
  cluster.delete(session.identity.key);
  await runtime.clock.flush();
  t.false(session.isValid());
  t.regex((session.signal.reason as Error).message, /session key was deleted/);
});

test('generations only rise, since answers overtake each other', async (t) => {
  const { session } = await open();
  session.advance(9n);
  session.advance(4n);
  t.is(session.generation, 9n);
});

test('a thousand failures ask for one renewal at once, and none if one was answered a moment ago', async (t) => {
  const { runtime, session, renewals } = await open();
  for (let index = 0; index < 1_000; index += 1) session.probe();
  await runtime.clock.advance(0);
  t.deepEqual(renewals, [0]);
  await runtime.clock.advance(600);
  for (let index = 0; index < 1_000; index += 1) session.probe();
  await runtime.clock.advance(0);
  t.deepEqual(renewals, [0, 600]);
});

test('after a failure renewals are tried again soon, and a lost session tries no more and leaves no timer', async (t) => {
  const { runtime, store, session, renewals } = await open();
  store.faults.onRequest((call) => {
    if (call.method === 'renew') renewals.push(runtime.clock.elapsedMs);
    return 'refuse';
  });
  await runtime.clock.advance(TTL_MS);
  t.true(session.signal.aborted);
  t.true(renewals.length > 5, String(renewals.length));
  const { length } = renewals;
  await runtime.clock.advance(TTL_MS);
  t.is(renewals.length, length);
  t.is(runtime.clock.pendingTimers, 0);
});
