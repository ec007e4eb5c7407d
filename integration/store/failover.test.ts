import { setImmediate as turn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import type { Store } from '../../lib/store/store.ts';
import { FaultProxy } from '../../lib/testing/fault-proxy.ts';
import { until } from '../lock/support/until.ts';
import { accessTo } from '../servers/access.ts';
import { EtcdCluster } from '../servers/etcd-cluster.ts';
import type { EtcdServer } from '../servers/etcd-server.ts';
import { raftOf } from '../servers/gateway.ts';
import { newLease, opened, putting, verdictOf, Watching, type Verdict } from './probe.ts';

const options = { timeoutMs: 2_000 };

/** Of a read, a silent member takes half. The other half is for the next, also on a busy machine. */
const patient = { timeoutMs: 6_000 };

/** Servers that have just started share the processors with everything else that starts. */
const firstContact = { timeoutMs: 15_000 };

/** A cluster of which every member can be cut off from the client alone. */
class ProxiedCluster implements AsyncDisposable {
  readonly cluster: EtcdCluster;
  readonly proxies: readonly FaultProxy[];

  private constructor(cluster: EtcdCluster, proxies: readonly FaultProxy[]) {
    this.cluster = cluster;
    this.proxies = proxies;
  }

  static async start(): Promise<ProxiedCluster> {
    /* Nobody is to be elected here, however busy the machine is. */
    const cluster = await EtcdCluster.start({ fastElections: false });
    return new ProxiedCluster(cluster, await Promise.all(cluster.endpoints.map((each) => FaultProxy.start(each))));
  }

  connect(): Store {
    return createEtcdStore(systemRuntime(), { endpoints: this.proxies.map(({ endpoint }) => endpoint), ...accessTo() });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.proxies.map((proxy) => proxy.stop()));
    await this.cluster[Symbol.asyncDispose]();
  }
}

/** The proxies through which the client is connected. */
function inUse({ proxies }: ProxiedCluster): FaultProxy[] {
  return proxies.filter(({ connections }) => connections > 0);
}

async function repeatedly(times: number, call: () => Promise<unknown>): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  for (let count = 0; count < times; count += 1) verdicts.push(await verdictOf(call()));
  return verdicts;
}

const failures = (verdicts: readonly Verdict[]): string[] =>
  verdicts.map(({ result }) => result).filter((result) => result !== 'ok');

/** Warms every path of the store up, and resolves to the member that it uses. It is the same one for a store of one proxy. */
async function warmUp(t: ExecutionContext, store: Store): Promise<bigint> {
  const lease = newLease();
  t.is((await verdictOf(store.grant(lease, 60_000, firstContact))).result, 'ok');
  t.is((await verdictOf(store.renew(lease, firstContact))).result, 'ok');
  return lease;
}

test('reads and renewals go on without one failure when the member in use is refused, silent or back', async (t) => {
  await using proxied = await ProxiedCluster.start();
  const store = proxied.connect();
  const lease = await warmUp(t, store);
  const load = async (): Promise<string[]> => {
    const verdicts = await Promise.all([
      repeatedly(20, () => store.range({ key: 'test/a' }, patient)),
      repeatedly(5, () => store.renew(lease, patient)),
    ]);
    return failures(verdicts.flat());
  };
  t.deepEqual(await load(), []);

  for (const fault of ['cut', 'blackhole', 'dropResponses', 'dropRequests'] as const) {
    const [faulty] = inUse(proxied) as [FaultProxy];
    faulty[fault]();
    t.deepEqual(await load(), [], fault);
    faulty.heal();
    t.deepEqual(await load(), [], `after ${fault}`);
  }
  await store.close();
});

test('a write goes on to another member if it was never sent, and only then', async (t) => {
  await using proxied = await ProxiedCluster.start();
  const fresh = proxied.connect();
  const [first, second] = proxied.proxies as [FaultProxy, FaultProxy, FaultProxy];
  first.cut();
  second.blackhole();
  t.is((await verdictOf(fresh.transact(putting('test/fresh'), firstContact))).result, 'ok');
  first.heal();
  second.heal();
  await fresh.close();
  while (inUse(proxied).length > 0) await turn();

  const store = proxied.connect();
  await store.range({ key: 'test/a' }, firstContact);
  const [current] = inUse(proxied) as [FaultProxy];
  current.dropResponses();
  t.is((await verdictOf(store.transact(putting('test/sent'), options))).result, 'timeout unknown');
  t.is((await verdictOf(store.transact(putting('test/next'), firstContact))).result, 'ok');
  current.heal();
  /* The member that took it may be slower than the other one. */
  const sent = await until(
    'the write that was sent',
    async () => (await store.range({ key: 'test/sent' }, patient)).entries[0],
  );
  t.is(sent?.version, 1n);
  await store.close();
});

test('a stopped follower costs reads at most half of their time, once', async (t) => {
  await using cluster = await EtcdCluster.start({ fastElections: false });
  const [follower] = await cluster.followers();
  const store = createEtcdStore(systemRuntime(), { endpoints: cluster.endpoints, ...accessTo() });
  await store.range({ key: 'test/a' }, firstContact);
  follower?.pause();
  const verdicts = await repeatedly(50, () => store.range({ key: 'test/a' }, patient));
  t.deepEqual(failures(verdicts), []);
  t.true(verdicts.filter(({ tookMs }) => tookMs >= patient.timeoutMs / 2).length <= 1, 'it is met once');
  follower?.resume();
  await store.close();
});

test('a member that has lost the cluster refuses, and its clients go on to the others', async (t) => {
  await using cluster = await EtcdCluster.start();
  const { members } = cluster;
  const [lonely] = members as [EtcdServer];
  const store = createEtcdStore(systemRuntime(), { endpoints: [lonely.endpoint], ...accessTo() });
  const { revision } = await store.range({ key: 'test/nothing' }, firstContact);
  const watching = await opened(
    () => new Watching(store, { span: { prefix: 'test/w/' }, fromRevision: revision + 1n }),
  );
  for (const other of members.slice(1)) other.pause();

  /* The watch would be silent for ever, were it not for "hasleader". */
  const ended = await watching.ended;
  t.is(ended.result, 'unreachable transient');
  t.regex(ended.error?.message ?? '', /no leader/);
  await until('it to know no leader', async () => (await raftOf(lonely)).lead === undefined);
  const refused = await verdictOf(store.transact(putting('test/alone'), options));
  t.is(refused.result, 'unreachable transient', refused.error?.message);

  for (const other of members.slice(1)) other.resume();
  /* Those that were away may have their leader elected more than once. */
  await until(
    'a write',
    async () => (await verdictOf(store.transact(putting('test/together'), options))).result === 'ok',
  );
  await store.close();
});

test('a watch that breaks begins anew at another member', async (t) => {
  await using proxied = await ProxiedCluster.start();
  const store = proxied.connect();
  const watch = (): Watching => new Watching(store, { span: { prefix: 'test/w/' }, fromRevision: 1n });
  const broken = watch();
  await broken.until(({ batches }) => batches.length > 0);
  const [faulty] = inUse(proxied) as [FaultProxy];
  faulty.cut();
  t.is((await broken.ended).result, 'unreachable transient');
  const next = watch();
  await next.until(({ batches }) => batches.length > 0);
  await store.transact(putting('test/w/a'), firstContact);
  await next.until(({ keys }) => keys.includes('test/w/a'));
  await next.stop();
  t.pass();
  await store.close();
});

test('writes go on when the leader dies', async (t) => {
  /* Nobody but by that: it is the first leader whose writes have to succeed at once. */
  await using cluster = await EtcdCluster.start({ fastElections: false });
  const store = createEtcdStore(systemRuntime(), { endpoints: cluster.endpoints, ...accessTo() });
  await store.transact(putting('test/before'), firstContact);
  const leader = await cluster.leader();
  await leader.stop({ signal: 'SIGKILL' });
  let verdict = await verdictOf(store.transact(putting('test/after'), options));
  while (verdict.result !== 'ok') verdict = await verdictOf(store.transact(putting('test/after'), options));
  t.is((await store.range({ key: 'test/after' }, patient)).entries.length, 1);
  await store.close();
});
