import test from 'ava';
import { MemoryCluster } from '../store/memory/memory-cluster.ts';
import type { MemoryStore } from '../store/memory/memory-store.ts';
import { testRuntime, type TestRuntime } from '../testing/test-runtime.ts';
import { auditSession } from './audit.ts';
import { Session, type KeyOwner } from './session.ts';
import { marginMs } from './ttl.ts';

const TTL_MS = 6_000;
const LEASE = 7n;
const SESSION_KEY = 'test/session/7';
/* An audit comes with each renewal here, and renewals within a third of the TTL. */
const ROUND_MS = TTL_MS / 3;

interface Scene {
  readonly runtime: TestRuntime;
  readonly cluster: MemoryCluster;
  readonly store: MemoryStore;
  readonly session: Session;
}

async function open(everyRenewals = 1): Promise<Scene> {
  const runtime = testRuntime();
  const cluster = new MemoryCluster(runtime);
  const store = cluster.connect();
  const at = runtime.clock.now();
  const { ttlMs } = await store.grant(LEASE, TTL_MS, { timeoutMs: 1_000 });
  cluster.put(SESSION_KEY, '{}', LEASE);
  const health = { contact: () => {}, failure: () => {} };
  const identity = { lease: LEASE, key: SESSION_KEY, value: '{}' };
  const session = new Session(runtime, store, health, identity, { at, ttlMs }, { marginMs, attemptTimeoutMs: 1_000 });
  auditSession(runtime, store, session, { attemptTimeoutMs: 1_000, everyRenewals });
  return { runtime, cluster, store, session };
}

/** An operation with a key on the lease. */
function own(session: Session, key: string, createRevision: bigint | undefined): string[] {
  const losses: string[] = [];
  const owner: KeyOwner = {
    key,
    createRevision,
    lost: ({ message }) => {
      losses.push(message);
      session.disown(owner);
    },
  };
  session.own(owner);
  return losses;
}

test('a key on the lease that no operation owns is deleted; the others stay', async (t) => {
  const { runtime, cluster, session } = await open();
  cluster.put('mine', '', LEASE);
  const losses = own(session, 'mine', cluster.revision);
  cluster.put('stray', '', LEASE);
  cluster.put('somebody else’s', '');
  cluster.put(`${SESSION_KEY}/part`, '', LEASE);
  await runtime.clock.advance(ROUND_MS);
  t.is(cluster.get('stray'), undefined);
  for (const key of ['mine', 'somebody else’s', SESSION_KEY, `${SESSION_KEY}/part`]) t.truthy(cluster.get(key), key);
  t.deepEqual(losses, []);
});

test('a key whose enqueue is still under way is nobody’s stray', async (t) => {
  const { runtime, cluster, session } = await open();
  own(session, 'soon', undefined);
  cluster.put('soon', '', LEASE);
  await runtime.clock.advance(2 * ROUND_MS);
  t.truthy(cluster.get('soon'));
});

test('a key that has come to be another one meanwhile is left alone: some names are used again', async (t) => {
  for (const when of ['before it is read', 'before it is deleted'] as const) {
    const { runtime, cluster, store } = await open();
    cluster.grant(8n, 60_000);
    cluster.put('slot', 'ours', LEASE);
    let isReplaced = false;
    store.faults.onResponse(({ method }) => {
      if (isReplaced || method !== (when === 'before it is read' ? 'leaseKeys' : 'range')) return undefined;
      isReplaced = true;
      cluster.delete('slot');
      cluster.put('slot', 'of somebody else', 8n);
      return undefined;
    });
    await runtime.clock.advance(2 * ROUND_MS);
    t.true(isReplaced, when);
    t.is(cluster.get('slot')?.value, 'of somebody else', when);
  }
});

test('an owner whose key is gone is told, and the session stays', async (t) => {
  const { runtime, cluster, session } = await open();
  cluster.put('mine', '', LEASE);
  const losses = own(session, 'mine', cluster.revision);
  cluster.delete('mine');
  await runtime.clock.advance(ROUND_MS);
  t.deepEqual(losses, ['its key is not in etcd any more: somebody removed it']);
  t.true(session.isValid());
});

test('an owner whose key was taken off the lease still has it', async (t) => {
  const { runtime, cluster, session } = await open();
  cluster.put('mine', '', LEASE);
  const losses = own(session, 'mine', cluster.revision);
  cluster.put('mine', 'without a lease');
  await runtime.clock.advance(ROUND_MS);
  t.deepEqual(losses, []);
});

test('a list of keys that is stale convicts nobody', async (t) => {
  const { runtime, cluster, store, session } = await open();
  cluster.put('mine', '', LEASE);
  const losses = own(session, 'mine', cluster.revision);
  store.faults.onResponse(({ method }) =>
    method === 'leaseKeys' ? { answer: { revision: 1n, remainingMs: 1_000, keys: [] } } : undefined,
  );
  await runtime.clock.advance(3 * ROUND_MS);
  t.deepEqual(losses, []);
});

test('without its key the session is lost', async (t) => {
  const { runtime, cluster, session } = await open();
  cluster.delete(SESSION_KEY);
  await runtime.clock.advance(ROUND_MS);
  t.regex((session.signal.reason as Error).message, /session key is not in etcd/);
});

test('an audit comes with every third renewal, and at once when contact is back', async (t) => {
  const { runtime, store, session } = await open(3);
  const audits: number[] = [];
  store.faults.onRequest(({ method }) => {
    if (method === 'leaseKeys') audits.push(runtime.clock.elapsedMs);
    return undefined;
  });
  await runtime.clock.advance(30_000);
  t.true(audits.length >= 4 && audits.length <= 7, String(audits.length));
  audits.length = 0;
  store.faults.nextRequest('renew', 'refuse');
  await runtime.clock.advance(ROUND_MS + 100);
  t.is(audits.length, 1);
  t.true(session.isValid());
});

test('an audit that is cut short changes nothing, and the next one is whole', async (t) => {
  const { runtime, cluster, store, session } = await open();
  cluster.put('mine', '', LEASE);
  const losses = own(session, 'mine', cluster.revision);
  cluster.put('stray', '', LEASE);
  store.faults.onResponse(({ method }) => (method === 'leaseKeys' ? 'break' : undefined));
  await runtime.clock.advance(2 * ROUND_MS);
  t.truthy(cluster.get('stray'));
  t.true(session.isValid());
  store.faults.heal();
  await runtime.clock.advance(ROUND_MS);
  t.is(cluster.get('stray'), undefined);
  t.deepEqual(losses, []);
});
