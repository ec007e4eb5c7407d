import test from 'ava';
import { Keyspace } from '../../session/keyspace.ts';
import { MemoryCluster } from '../../store/memory/memory-cluster.ts';
import { testRuntime } from '../../testing/test-runtime.ts';
import { examineHistory } from './cluster.ts';

test('history begins where etcd has compacted it, and a short one is told', async (t) => {
  const runtime = testRuntime();
  const cluster = new MemoryCluster(runtime);
  const examination = {
    clock: runtime.clock,
    store: cluster.connect(),
    keyspace: new Keyspace('test'),
    ttlMs: 15_000,
    timeoutMs: 1_000,
    signal: new AbortController().signal,
  };
  for (let index = 0; index < 300; index += 1) cluster.put('a', String(index));
  const { revision } = cluster;
  t.like(await examineHistory(examination), {
    level: 'fine',
    fact: `etcd keeps ${revision - 1n} revisions of history, from 1 to ${revision}`,
  });
  cluster.compact(150n);
  t.like(await examineHistory(examination), {
    level: 'fine',
    fact: `etcd keeps ${revision - 150n} revisions of history, from 150 to ${revision}`,
  });
  cluster.compact(revision - 10n);
  t.like(await examineHistory(examination), { level: 'note' });
});
