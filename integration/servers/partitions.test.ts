import test, { type ExecutionContext } from 'ava';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import { until } from '../lock/support/until.ts';
import { etcdVersions } from '../provision/etcd.ts';
import { accessTo, ROOT } from './access.ts';
import { EtcdCluster } from './etcd-cluster.ts';
import type { EtcdServer } from './etcd-server.ts';
import { ask, authenticate, raftOf } from './gateway.ts';

const briefly = ['--command-timeout', '1s'];

/* What the members say passes through this process. Where it is not heard in time they elect somebody, and a command fails. */
const put = (member: EtcdServer, value: string): Promise<string> => member.insist(['put', 'test/key', value]);
const renewal = (lease: string): readonly string[] => ['lease', 'keep-alive', '--once', lease];

/** Answered by the member alone. */
async function localValue(member: EtcdServer): Promise<string> {
  const value = await member.etcdctl(['get', 'test/key', '--print-value-only', '--consistency', 's']);
  return value.trimEnd();
}

async function refusesAllButLocalReads(t: ExecutionContext, member: EtcdServer, local: string): Promise<void> {
  /* Not answered is not the same as not applied: a member that is heard may pass it on. */
  const writing = t.throwsAsync(member.etcdctl([...briefly, 'put', 'test/unanswered', '']), undefined, 'a write');
  const reading = t.throwsAsync(member.etcdctl([...briefly, 'get', 'test/key']), undefined, 'a linearizable read');
  await Promise.all([writing, reading]);
  t.is(await localValue(member), local);
}

async function knows(member: EtcdServer, value: string): Promise<void> {
  await until(`${member.name} to know ${value}`, async () => (await localValue(member)) === value);
}

async function healthy(cluster: EtcdCluster): Promise<void> {
  await Promise.all(cluster.members.map((member) => member.untilHealthy()));
}

/**
 * A member that comes back with a newer term than all others deposes their leader. With pre-vote, it begins none that nobody voted for; of one
 * that it has heard of, the others tell in a moment.
 */
async function hasRaisedNoTerm(cluster: EtcdCluster, member: EtcdServer): Promise<void> {
  const { term } = await raftOf(member);
  await until(`a term not before that of ${member.name}`, async () => (await cluster.term()) >= term);
}

/** A watch through etcd's JSON gateway, which, other than etcdctl's, does not ask to be ended when the leader is lost. */
class ProgressReports implements Disposable {
  readonly #over: AbortController;
  #count = 0;

  private constructor(over: AbortController, body: AsyncIterable<unknown>) {
    this.#over = over;
    void (async () => {
      for await (const _ of body) this.#count += 1;
    })().catch(() => {
      /* It is over. */
    });
  }

  static async of(member: EtcdServer): Promise<ProgressReports> {
    const over = new AbortController();
    const request = { create_request: { key: Buffer.from('nothing').toString('base64'), progress_notify: true } };
    const token = member.isRestricted ? await authenticate(member, ROOT, over.signal) : undefined;
    return new ProgressReports(over, await ask(member, '/v3/watch', request, { signal: over.signal, token }));
  }

  async further(count: number): Promise<void> {
    const enough = this.#count + count;
    await until('reports of progress', () => this.#count >= enough);
  }

  [Symbol.dispose](): void {
    this.#over.abort();
  }
}

for (const version of etcdVersions) {
  test.serial(
    `etcd ${version}: an isolated leader is deposed, the others go on, and it follows when healed`,
    async (t) => {
      await using cluster = await EtcdCluster.start({ version, partitionable: true });
      const deposed = await cluster.leader();
      await put(deposed, 'before');
      await Promise.all(cluster.members.map((member) => knows(member, 'before')));

      cluster.partition(deposed);
      const next = await cluster.leader();
      await put(next, 'after');
      await refusesAllButLocalReads(t, deposed, 'before');
      await hasRaisedNoTerm(cluster, deposed);

      cluster.heal();
      await healthy(cluster);
      await knows(deposed, 'after');
      await put(deposed, 'together');
    },
  );

  test.serial(
    `etcd ${version}: an isolated follower can neither write nor renew a lease, but reports progress`,
    async (t) => {
      await using cluster = await EtcdCluster.start({
        version,
        fastElections: false,
        partitionable: true,
        extraArgs: ['--experimental-watch-progress-notify-interval', '50ms'],
      });
      const [follower, other] = (await cluster.followers()) as [EtcdServer, EtcdServer];
      await put(other, 'before');
      await knows(follower, 'before');
      using reports = await ProgressReports.of(follower);
      await reports.further(2);
      const granted = await other.insist(['lease', 'grant', '60']);
      const lease = /lease (\w+) granted/.exec(granted)?.[1] ?? '';
      t.regex(await follower.insist(renewal(lease)), /keepalived/);

      cluster.partition(follower);
      /* As long as it knows a leader it asks that one, by a request that does not say who asks. */
      await t.throwsAsync(follower.etcdctl([...briefly, ...renewal(lease)]), undefined, 'a renewal');
      await put(other, 'after');
      await refusesAllButLocalReads(t, follower, 'before');
      await reports.further(5);

      cluster.heal();
      await healthy(cluster);
      await knows(follower, 'after');
      t.regex(await follower.insist(renewal(lease)), /keepalived/);
    },
  );

  test.serial(`etcd ${version}: a follower that hears nothing is stale, and does not disturb the others`, async (t) => {
    await using cluster = await EtcdCluster.start({ version, partitionable: true });
    const leader = await cluster.leader();
    const [follower] = (await cluster.followers()) as [EtcdServer];
    await put(leader, 'before');
    await knows(follower, 'before');

    cluster.partition(follower, { direction: 'inbound' });
    await put(leader, 'after');
    await refusesAllButLocalReads(t, follower, 'before');
    await hasRaisedNoTerm(cluster, follower);
    cluster.heal();
    await healthy(cluster);
    await knows(follower, 'after');
  });

  test.serial(`etcd ${version}: a follower that nobody hears follows, and can ask for nothing`, async (t) => {
    /* A leader that is new sends nothing before it has been answered, so none is to be elected. */
    await using cluster = await EtcdCluster.start({ version, fastElections: false, partitionable: true });
    const leader = await cluster.leader();
    const [follower] = (await cluster.followers()) as [EtcdServer];
    cluster.partition(follower, { direction: 'outbound' });
    await put(leader, 'after');
    await knows(follower, 'after');
    await refusesAllButLocalReads(t, follower, 'after');
    await hasRaisedNoTerm(cluster, follower);
    cluster.heal();
    await healthy(cluster);
    await put(follower, 'heard');
  });

  for (const direction of ['inbound', 'outbound'] as const) {
    test.serial(`etcd ${version}: a leader that is cut off ${direction} alone is deposed, too`, async (t) => {
      await using cluster = await EtcdCluster.start({ version, partitionable: true });
      const deposed = await cluster.leader();
      cluster.partition(deposed, { direction });
      const next = await cluster.leader();
      await put(next, 'after');
      await refusesAllButLocalReads(t, deposed, '');
      /* What the directions differ in is whether it hears of that. What was written it is sent only when it answers. */
      await until('it to know whom it can know', async () => {
        const leader = direction === 'outbound' ? (await raftOf(await cluster.leader())).id : undefined;
        return (await raftOf(deposed)).lead === leader;
      });
      cluster.heal();
      await healthy(cluster);
      await knows(deposed, 'after');
    });
  }

  test.serial(`etcd ${version}: a follower that was away for longer than the log is sent a snapshot`, async (t) => {
    await using cluster = await EtcdCluster.start({
      version,
      partitionable: true,
      extraArgs: ['--snapshot-count', '100'],
    });
    const leader = await cluster.leader();
    const [follower] = (await cluster.followers()) as [EtcdServer];
    cluster.partition(follower);
    const endpoints = cluster.members.filter((member) => member !== follower).map(({ endpoint }) => endpoint);
    const store = createEtcdStore(systemRuntime(), { endpoints, ...accessTo() });
    const write = (): Promise<unknown> =>
      store.transact({ compare: [], then: [{ type: 'put', key: 'test/key', value: 'many' }] }, { timeoutMs: 10_000 });
    /* etcd keeps 5,000 entries for those that are slow. On a busy machine it may change its leader meanwhile, which fails some. */
    for (let written = 0; written < 5_300;) {
      const outcomes = await Promise.allSettled(Array.from({ length: 100 }, write));
      written += outcomes.filter(({ status }) => status === 'fulfilled').length;
    }
    await store.close();
    await leader.insist(['put', 'test/key', 'last']);
    const last = await appliedBy(leader);

    cluster.heal();
    /* It is not read from before: an etcd 3.5.16 has ended while it was, and exchanged its database for the snapshot. */
    await until('it to have come so far', async () => (await appliedBy(follower)) >= last);
    await knows(follower, 'last');
    const metrics = await follower.metrics();
    const received = [...metrics].find(([sample]) => sample.startsWith('etcd_network_snapshot_receive_success'));
    t.true((received?.[1] ?? 0) >= 1);
  });
}

/** How far a member has come in the log. */
async function appliedBy(member: EtcdServer): Promise<number> {
  return (await member.metrics()).get('etcd_server_proposals_applied_total') ?? 0;
}

test('a cluster that cannot be cut says so', async (t) => {
  await using cluster = await EtcdCluster.start({ size: 1 });
  t.throws(() => cluster.partition(cluster.members[0]!), { message: /partitionable/ });
});
