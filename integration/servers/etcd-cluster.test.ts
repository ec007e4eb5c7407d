import test from 'ava';
import { until } from '../lock/support/until.ts';
import { backUp, restore, revisionOf } from './backup.ts';
import { EtcdCluster } from './etcd-cluster.ts';
import { raftOf } from './gateway.ts';
import { SlowDisk } from './slow-disk.ts';

test('three members form one cluster with one leader', async (t) => {
  await using cluster = await EtcdCluster.start();
  t.is(cluster.endpoints.length, 3);
  const [first, , last] = cluster.members;
  await first?.insist(['put', 'shared', 'yes']);
  t.is(await last?.etcdctl(['get', 'shared', '--print-value-only']), 'yes\n');
  t.true(cluster.members.includes(await cluster.leader()));
  await until('a member to tell its term', async () => (await cluster.term()) > 0);
  t.is((await cluster.followers()).length, 2);
});

test('another member leads while the leader is paused, and the old one follows when it is back', async (t) => {
  await using cluster = await EtcdCluster.start();
  const deposed = await cluster.leader();
  const { term } = await raftOf(deposed);
  deposed.pause();
  const next = await cluster.leader();
  await next.insist(['put', 'after', 'the pause']);

  deposed.resume();
  await deposed.untilHealthy();
  /* Of its own term it is the leader no more. In a later one it may well be elected again. */
  await until('it to name the leader of a newer term', async () => {
    const known = await raftOf(deposed);
    return known.term > term && known.lead === (await raftOf(await cluster.leader())).id;
  });
  t.is(await deposed.etcdctl(['get', 'after', '--print-value-only']), 'the pause\n');
});

test('a cluster works on without one member, and takes it back after a restart', async (t) => {
  await using cluster = await EtcdCluster.start();
  const leader = await cluster.leader();
  await leader.stop({ signal: 'SIGKILL' });
  const next = await cluster.leader();
  await next.insist(['put', 'alone', 'two']);
  await leader.restart();
  t.is(await leader.etcdctl(['get', 'alone', '--print-value-only']), 'two\n');
});

test('a leader that is cut off from its peers is deposed, goes on serving what it knows, and follows when healed', async (t) => {
  await using cluster = await EtcdCluster.start({ partitionable: true });
  const deposed = await cluster.leader();
  cluster.partition(deposed);
  const next = await cluster.leader();
  await next.insist(['put', 'after', 'the cut']);
  t.is(await deposed.etcdctl(['get', 'after', '--consistency', 's', '--print-value-only']), '');
  await t.throwsAsync(deposed.etcdctl(['--command-timeout', '500ms', 'get', 'after']));

  cluster.heal();
  await deposed.untilHealthy();
  t.is(await deposed.etcdctl(['get', 'after', '--print-value-only']), 'the cut\n');
});

test.serial('a leader is replaced by a member without data, which has everything when it is healthy', async (t) => {
  await using cluster = await EtcdCluster.start({
    partitionable: true,
    extraArgs: ['--strict-reconfig-check=false'],
  });
  const member = await cluster.leader();
  await member.insist(['put', 'before', 'yes']);
  const { before, after } = await cluster.replace(member);
  t.regex(before, /^[0-9a-f]{1,16}$/);
  t.regex(after, /^[0-9a-f]{1,16}$/);
  t.not(after, before);
  t.is(await member.etcdctl(['get', 'before', '--print-value-only']), 'yes\n');
});

test.serial('a cluster is upgraded member by member, and restored as a whole from a backup', async (t) => {
  await using cluster = await EtcdCluster.start({ version: '3.4', partitionable: true });
  const member = await cluster.leader();
  await member.insist(['put', 'kept', 'yes']);
  for (const each of cluster.members) await each.upgrade('3.5.30');
  t.true(cluster.members.every(({ binaries }) => binaries.version.startsWith('3.5.')));
  t.is(await member.etcdctl(['get', 'kept', '--print-value-only']), 'yes\n');

  const json = await member.insist(['get', 'kept', '--write-out', 'json']);
  const { revision } = (JSON.parse(json) as { readonly header: { readonly revision: number } }).header;
  const file = await backUp(member);
  await member.insist(['put', 'lost', 'yes']);
  await restore(cluster.members, file);
  t.is(await revisionOf(member, file), BigInt(revision));
  for (const each of cluster.members) {
    t.is(await each.insist(['get', '--prefix', '', '--print-value-only']), 'yes\n');
  }
});

test.serial('a disk is slow, and as fast as before when that is over', async (t) => {
  await using cluster = await EtcdCluster.start({ size: 1 });
  const [member] = cluster.members;
  if (member === undefined) return t.fail();
  const put = async (): Promise<number> => {
    const startedAt = performance.now();
    await member.etcdctl(['put', 'a', '1']);
    return performance.now() - startedAt;
  };
  const disk = await SlowDisk.of(member.pid, 1_500);
  t.true((await put()) > 1_500);
  await disk[Symbol.asyncDispose]();
  t.true(disk.delayed > 0);
  await put();
});
