import test from 'ava';
import * as fc from 'fast-check';
import { RetryBudget } from '../resilience/retry-budget.ts';
import { Keyspace } from '../session/keyspace.ts';
import { Session } from '../session/session.ts';
import { marginMs } from '../session/ttl.ts';
import { MemoryCluster } from '../store/memory/memory-cluster.ts';
import { isPolluted, storedText } from '../testing/arbitraries.ts';
import { testRuntime } from '../testing/test-runtime.ts';
import { aheadOfMedian, PeerClocks, readAnswer } from './peer-clocks.ts';

const keyspace = new Keyspace('test');
const HOUR = 3_600_000;
const { signal } = new AbortController();

function world() {
  const runtime = testRuntime();
  const cluster = new MemoryCluster(runtime);
  let leases = 1n;
  /** A process whose clock is so far ahead. */
  const join = async (instanceId: string, aheadMs = 0, latencyMs = 1) => {
    const clock = runtime.clock.host();
    clock.jumpWall(aheadMs);
    const own = { ...runtime, clock };
    const store = cluster.connect({ name: instanceId, latencyMs });
    const repetition = { baseMs: 50, capMs: 2_000, attemptTimeoutMs: 1_000, budget: new RetryBudget(clock) };
    const lease = (leases += 1n);
    const { ttlMs } = await runtime.clock.settle(store.grant(lease, 3_600_000, { timeoutMs: 1_000 }));
    const identity = { lease, key: keyspace.session(lease), value: '{}' };
    cluster.put(identity.key, '{}', lease);
    const session = new Session(
      own,
      store,
      { contact: () => {}, failure: () => {} },
      identity,
      { at: clock.now(), ttlMs },
      { marginMs, attemptTimeoutMs: 1_000 },
    );
    const peers = new PeerClocks(own, store, repetition, async () => session, keyspace.clock, instanceId);
    peers.join();
    await runtime.clock.advance(1_500);
    return { peers, store, clock, session };
  };
  const puts = (prefix: string): number =>
    cluster.log
      .flatMap(({ events }) => events)
      .filter((event) => event.type === 'put' && event.entry.key.startsWith(prefix)).length;
  return { runtime, cluster, join, puts };
}

const medians: readonly [peers: readonly number[], aheadMs: number][] = [
  [[], 0],
  [[0], 0],
  [[HOUR], HOUR],
  [[-HOUR], 0],
  [[0, HOUR], 0],
  [[0, -HOUR], 0],
  [[HOUR, HOUR], HOUR],
  [[-HOUR, -HOUR], -HOUR],
  [[0, HOUR, HOUR], HOUR],
  [[0, 0, HOUR], 0],
  [[5, -5, HOUR, HOUR], 5],
];
for (const [peers, aheadMs] of medians) {
  test(`a clock that is ahead of others by ${peers.join(', ')} is ahead of the lower median by ${aheadMs}`, (t) => {
    t.is(aheadOfMedian(peers.map((each) => ({ instanceId: '', aheadMs: each }))), aheadMs);
  });
}

test('who is alone asks once, waits for nobody and trusts itself', async (t) => {
  const { runtime, join } = world();
  const { peers } = await join('one', HOUR);
  const before = runtime.clock.elapsedMs;
  t.like(await runtime.clock.settle(peers.compare(0, signal)), { aheadMs: 0, peers: [] });
  t.true(runtime.clock.elapsedMs - before < 10);
});

test('a clock that is ahead learns it, one that is behind is not held up by it', async (t) => {
  const { runtime, join } = world();
  const ahead = await join('ahead', HOUR);
  const right = await join('right');
  const told = await runtime.clock.settle(ahead.peers.compare(0, signal));
  t.true(Math.abs(told.aheadMs - HOUR) < 100, String(told.aheadMs));
  t.is(told.peers[0]?.instanceId, 'right');
  t.is((await runtime.clock.settle(right.peers.compare(0, signal))).aheadMs, 0);
});

test('of three the two that agree are believed', async (t) => {
  const { runtime, join } = world();
  const [ahead, one] = [await join('ahead', HOUR), await join('one')];
  await join('two', 20);
  t.true((await runtime.clock.settle(ahead.peers.compare(0, signal))).aheadMs > HOUR - 100);
  t.true(Math.abs((await runtime.clock.settle(one.peers.compare(0, signal))).aheadMs) < 100);
});

test('everybody has answered before the whole of the time is waited for', async (t) => {
  const { runtime, join } = world();
  const { peers } = await join('one');
  await join('two');
  const before = runtime.clock.elapsedMs;
  const { peers: answered } = await runtime.clock.settle(peers.compare(0, signal));
  t.is(answered.length, 1);
  t.true(runtime.clock.elapsedMs - before < 100);
});

test('one that stands still is waited for two seconds, and an old answer of it is none', async (t) => {
  const { runtime, join } = world();
  const one = await join('one');
  const two = await join('two', -HOUR);
  await runtime.clock.settle(one.peers.compare(0, signal));
  two.clock.pause();
  two.store.faults.onWatch(() => 'hold');
  const before = runtime.clock.elapsedMs;
  const { peers, aheadMs } = await runtime.clock.settle(one.peers.compare(0, signal));
  t.deepEqual([...peers], []);
  t.is(aheadMs, 0);
  const tookMs = runtime.clock.elapsedMs - before;
  t.true(tookMs >= 2_000 && tookMs < 2_100, String(tookMs));
});

test('slow answers do not make a clock look behind', async (t) => {
  const { runtime, join } = world();
  const one = await join('one');
  await join('two', 0, 400);
  const { peers } = await runtime.clock.settle(one.peers.compare(0, signal));
  t.is(peers.length, 1);
  t.true(peers[0]!.aheadMs <= 0, String(peers[0]!.aheadMs));
});

test('those who ask at the same time, and a little later, share one question', async (t) => {
  const { runtime, join, puts } = world();
  const { peers } = await join('one');
  await join('two');
  const all = await runtime.clock.settle(Promise.all([1, 2, 3].map(() => peers.compare(10_000, signal))));
  t.is(new Set(all).size, 1);
  t.is(await runtime.clock.settle(peers.compare(10_000, signal)), all[0]!);
  t.is(puts(keyspace.clock.question), 1);
  await runtime.clock.advance(10_001);
  await runtime.clock.settle(peers.compare(10_000, signal));
  t.is(puts(keyspace.clock.question), 2);
});

test('whoever does not ask costs nothing while nobody asks, and nothing is left of those who close', async (t) => {
  const { runtime, cluster, join } = world();
  const { peers, session } = await join('one');
  const calls: string[] = [];
  const two = await join('two');
  two.store.faults.onRequest((call) => {
    calls.push(call.method);
    return undefined;
  });
  await runtime.clock.advance(600_000);
  t.deepEqual(
    calls.filter((method) => method !== 'renew'),
    [],
  );
  await runtime.clock.settle(Promise.all([peers.close(), two.peers.close()]));
  session.lose(new Error('done'));
  two.session.lose(new Error('done'));
  cluster.revoke(session.lease);
  cluster.revoke(two.session.lease);
  t.deepEqual(cluster.entries(keyspace.clock.answers), []);
  t.is(runtime.clock.pendingTimers, 0);
});

test('closing does not wait until somebody can be told the time', async (t) => {
  const { runtime, join } = world();
  const [one, two] = [await join('one'), await join('two')];
  one.store.faults.onResponse(() => 'drop');
  const asking = two.peers.compare(0, signal);
  await runtime.clock.advance(100);
  await runtime.clock.settle(one.peers.close(), { withinMs: 10 });
  await runtime.clock.settle(asking);
  await runtime.clock.settle(two.peers.close());
  t.pass();
});

test('what stands under an answer is one to the question, or none, whatever it is', (t) => {
  const answer = { instanceId: 'one', to: '7', wallMs: 1_000 };
  const stored = (value: string, question: bigint) =>
    readAnswer({ key: 'k', value, createRevision: 5n, modRevision: 6n, version: 1n, lease: 0n }, question);
  t.deepEqual(stored(JSON.stringify(answer), 7n), [answer]);
  t.deepEqual(stored(JSON.stringify(answer), 8n), []);
  fc.assert(
    fc.property(storedText(answer), (text) => {
      for (const read of stored(text, 1n)) {
        t.deepEqual(Object.keys(read), ['instanceId', 'to', 'wallMs']);
        t.true(typeof read.instanceId === 'string' && Number.isFinite(read.wallMs) && BigInt(read.to) > 0n);
      }
      t.false(isPolluted(undefined));
    }),
    { numRuns: 1_000 },
  );
});
