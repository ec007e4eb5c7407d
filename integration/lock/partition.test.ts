/** Holders whose only member is cut off from its peers. It still answers, and a deposed leader even renews leases for a while. */
import test, { type ExecutionContext } from 'ava';
import { CoordinationUnavailableError, LockLostError } from '../../lib/index.ts';
import { sleep, systemClock } from '../../lib/runtime/clock.ts';
import { EtcdCluster, type EtcdClusterOptions } from '../servers/etcd-cluster.ts';
import type { EtcdServer } from '../servers/etcd-server.ts';
import { Clients, shortLived, storedKeys, testedVersions } from './support/clients.ts';
import { until } from './support/until.ts';

async function holdsThroughPartition(t: ExecutionContext, cluster: EtcdCluster, member: EtcdServer): Promise<void> {
  await using clients = new Clients();
  const others = cluster.members.filter((each) => each !== member) as [EtcdServer, EtcdServer];
  const far = await clients.connect(member.endpoint, shortLived);
  const near = await clients.connect(others[0].endpoint);
  const held = await far.lock('a').acquire({ waitForRecovery: true });
  const waiting = near
    .lock('a')
    .acquire({ waitForRecovery: true })
    .then((next) => ({ next, wasHeld: held.isHeld() }));
  await until('two keys in the queue', async () => (await storedKeys(others[0], clients.prefix('a'))).length === 2);

  cluster.partition(member);
  const { next, wasHeld } = await waiting;
  t.false(wasHeld);
  /* isHeld() reads the clock. The signal needs a timer, which is long due and comes before one of the same clock that is set now. */
  await sleep(systemClock, 0);
  t.true(held.signal.aborted);
  t.true(held.signal.reason instanceof LockLostError);
  t.true(next.token > held.token);
  t.is(far.health.state, 'degraded');
  await t.throwsAsync(far.lock('a').acquire(), { instanceOf: CoordinationUnavailableError });

  cluster.heal();
  await until('contact', () => far.health.state === 'connected');
  t.false(held.isHeld());
  t.true(next.isHeld());
  /* Nor does what the old holder still has to say. */
  await held.release();
  t.true(next.isHeld());
  const patient = far.lock('a').acquire({ waitForRecovery: true });
  await next.release();
  const again = await patient;
  t.true(again.token > next.token);
  await again.release();
  await until('an empty queue', async () => (await storedKeys(others[0], clients.prefix('a'))).length === 0);
}

/* Without it, a follower that comes back has the leader deposed. */
const withoutPreVote = ['--pre-vote=false'];

for (const version of testedVersions) {
  for (const [role, find, options] of [
    ['a follower', async (cluster) => (await cluster.followers())[0], {}],
    ['the leader', (cluster) => cluster.leader(), {}],
    ['a follower without pre-vote', async (cluster) => (await cluster.followers())[0], { extraArgs: withoutPreVote }],
    ['a leader of slow elections', (cluster) => cluster.leader(), { fastElections: false }],
  ] as readonly (readonly [
    role: string,
    find: (cluster: EtcdCluster) => Promise<EtcdServer | undefined>,
    options: EtcdClusterOptions,
  ])[]) {
    test.serial(
      `etcd ${version}: a lock that was acquired at ${role} is lost there before the others give it away`,
      async (t) => {
        await using cluster = await EtcdCluster.start({ version, partitionable: true, ...options });
        const member = await find(cluster);
        if (member === undefined) throw new Error('Expected a follower.');
        await holdsThroughPartition(t, cluster, member);
      },
    );
  }
}
