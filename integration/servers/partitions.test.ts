import test, { type ExecutionContext } from 'ava';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import { until } from '../lock/support/until.ts';
import { etcdVersions } from '../provision/etcd.ts';
import { accessTo, ROOT } from './access.ts';
import { EtcdCluster } from './etcd-cluster.ts';
import type { EtcdServer } from './etcd-server.ts';
import { ask, authenticate } from './gateway.ts';

const briefly = ['--command-timeout', '1s'];

const put = (member: EtcdServer, value: string): Promise<string> => member.etcdctl(['put', 'test/key', value]);
const renew = (member: EtcdServer, lease: string): Promise<string> =>
  member.etcdctl([...briefly, 'lease', 'keep-alive', '--once', lease]);

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

interface Status {
  readonly id: string | undefined;
  /** Whom it takes for the leader. */
  readonly leader: string | undefined;
  /** Of the last entry that it has applied; every leader begins with one. */
  readonly term: string | undefined;
}

/** From the text: the IDs are too large for numbers. */
async function statusOf(member: EtcdServer): Promise<Status> {
  const json = await member.etcdctl(['endpoint', 'status', '--write-out', 'json']);
  const field = (name: string): string | undefined => new RegExp(`"${name}":(\\d+)`).exec(json)?.[1];
  return { id: field('member_id'), leader: field('leader'), term: field('raftTerm') };
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
      t.not(next, deposed);
      await put(next, 'after');
      await refusesAllButLocalReads(t, deposed, 'before');

      cluster.heal();
      await healthy(cluster);
      await knows(deposed, 'after');
      t.is(await cluster.leader(), next, 'with pre-vote, a member that comes back deposes nobody');
      t.is(await put(deposed, 'together'), 'OK\n');
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
      const granted = await other.etcdctl(['lease', 'grant', '60']);
      const lease = /lease (\w+) granted/.exec(granted)?.[1] ?? '';
      await renew(follower, lease);

      cluster.partition(follower);
      /* As long as it knows a leader it asks that one, by a request that does not say who asks. */
      await t.throwsAsync(renew(follower, lease), undefined, 'a renewal');
      await put(other, 'after');
      await refusesAllButLocalReads(t, follower, 'before');
      await reports.further(5);

      cluster.heal();
      await healthy(cluster);
      await knows(follower, 'after');
      t.regex(await renew(follower, lease), /keepalived/);
    },
  );

  test.serial(`etcd ${version}: a follower that hears nothing is stale, and does not disturb the others`, async (t) => {
    await using cluster = await EtcdCluster.start({ version, partitionable: true });
    const leader = await cluster.leader();
    const [follower] = (await cluster.followers()) as [EtcdServer];
    await put(leader, 'before');
    await knows(follower, 'before');
    const { term } = await statusOf(leader);

    cluster.partition(follower, { direction: 'inbound' });
    await put(leader, 'after');
    await refusesAllButLocalReads(t, follower, 'before');
    t.is(await cluster.leader(), leader);
    t.is((await statusOf(leader)).term, term);
    cluster.heal();
    await healthy(cluster);
    await knows(follower, 'after');
    t.is((await statusOf(leader)).term, term);
  });

  test.serial(`etcd ${version}: a follower that nobody hears follows, and can ask for nothing`, async (t) => {
    await using cluster = await EtcdCluster.start({ version, partitionable: true });
    const leader = await cluster.leader();
    const [follower] = (await cluster.followers()) as [EtcdServer];
    const { term } = await statusOf(leader);
    cluster.partition(follower, { direction: 'outbound' });
    await put(leader, 'after');
    await knows(follower, 'after');
    await refusesAllButLocalReads(t, follower, 'after');
    t.is((await statusOf(leader)).term, term);
    cluster.heal();
    await healthy(cluster);
    t.is(await put(follower, 'heard'), 'OK\n');
  });

  for (const direction of ['inbound', 'outbound'] as const) {
    test.serial(`etcd ${version}: a leader that is cut off ${direction} alone is deposed, too`, async (t) => {
      await using cluster = await EtcdCluster.start({ version, partitionable: true });
      const deposed = await cluster.leader();
      cluster.partition(deposed, { direction });
      const next = await cluster.leader();
      t.not(next, deposed);
      await put(next, 'after');
      await refusesAllButLocalReads(t, deposed, '');
      /* What the directions differ in is whether it hears of that. What was written it is sent only when it answers. */
      const leader = direction === 'outbound' ? (await statusOf(next)).id : undefined;
      t.is((await statusOf(deposed)).leader, leader);
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

    cluster.heal();
    await knows(follower, 'last');
    const metrics = await follower.metrics();
    const received = [...metrics].find(([sample]) => sample.startsWith('etcd_network_snapshot_receive_success'));
    t.true((received?.[1] ?? 0) >= 1);
  });
}

test('a cluster that cannot be cut says so', async (t) => {
  await using cluster = await EtcdCluster.start({ size: 1 });
  t.throws(() => cluster.partition(cluster.members[0]!), { message: /partitionable/ });
});
