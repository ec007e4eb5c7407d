import test from 'ava';
import { EtcdCluster } from './etcd-cluster.ts';

test('three members form one cluster with one leader', async (t) => {
  await using cluster = await EtcdCluster.start();
  t.is(cluster.endpoints.length, 3);
  const [first, , last] = cluster.members;
  await first?.etcdctl(['put', 'shared', 'yes']);
  t.is(await last?.etcdctl(['get', 'shared', '--print-value-only']), 'yes\n');
  t.true(cluster.members.includes(await cluster.leader()));
  t.is((await cluster.followers()).length, 2);
});

test('another member leads while the leader is paused, and the old one follows when it is back', async (t) => {
  await using cluster = await EtcdCluster.start();
  const deposed = await cluster.leader();
  deposed.pause();
  const next = await cluster.leader();
  t.not(next, deposed);
  await next.etcdctl(['put', 'after', 'the pause']);

  deposed.resume();
  await deposed.untilHealthy();
  t.not(await cluster.leader(), deposed);
  t.is(await deposed.etcdctl(['get', 'after', '--print-value-only']), 'the pause\n');
});

test('a cluster works on without one member, and takes it back after a restart', async (t) => {
  await using cluster = await EtcdCluster.start();
  const leader = await cluster.leader();
  await leader.stop({ signal: 'SIGKILL' });
  const next = await cluster.leader();
  await next.etcdctl(['put', 'alone', 'two']);
  await leader.restart();
  t.is(await leader.etcdctl(['get', 'alone', '--print-value-only']), 'two\n');
});

test('a leader that is cut off from its peers is deposed, goes on serving what it knows, and follows when healed', async (t) => {
  await using cluster = await EtcdCluster.start({ partitionable: true });
  const deposed = await cluster.leader();
  cluster.partition(deposed);
  const next = await cluster.leader();
  t.not(next, deposed);
  await next.etcdctl(['put', 'after', 'the cut']);
  t.is(await deposed.etcdctl(['get', 'after', '--consistency', 's', '--print-value-only']), '');
  await t.throwsAsync(deposed.etcdctl(['--command-timeout', '500ms', 'get', 'after']));

  cluster.heal();
  await deposed.untilHealthy();
  t.is(await deposed.etcdctl(['get', 'after', '--print-value-only']), 'the cut\n');
});
