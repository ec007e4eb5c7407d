import test from 'ava';
import { testRuntime } from '../../testing/test-runtime.ts';
import { StoreError } from '../store-error.ts';
import { MemoryCluster } from './memory-cluster.ts';

const call = { timeoutMs: 1_000 };

test('a request whose answer was lost times out as unknown, and was applied', async (t) => {
  const { clock, ...rest } = testRuntime();
  const cluster = new MemoryCluster({ clock, ...rest });
  const store = cluster.connect();
  store.faults.nextResponse('transact', 'drop');
  const put = store.transact({ compare: [], then: [{ type: 'put', key: 'a', value: '1' }] }, call);
  const error = await t.throwsAsync(clock.settle(put), { instanceOf: StoreError });
  t.like(error, { reason: 'timeout', outcome: 'unknown' });
  t.is(cluster.get('a')?.value, '1');
  t.is(clock.pendingTimers, 0);
});
