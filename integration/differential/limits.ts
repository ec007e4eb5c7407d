import type { SeededRandom } from '../../lib/testing/seeded-random.ts';
import type { WireRequest } from './wire-client.ts';

/* Requests about as large as etcd takes them, and larger. */

const MIB = 1024 * 1024;

const put = (key: Buffer, bytes: number): WireRequest => ({
  service: 'KV',
  method: 'put',
  request: { key, value: Buffer.alloc(bytes) },
});

/**
 * Around the limit of a request, and around that of a message; and what a watch's messages are cut at when there are several. Not to the
 * byte: the ID that etcd gives a request takes nine bytes or ten.
 */
export function outsized(random: SeededRandom, key: Buffer): WireRequest {
  const kind = random.uniform();
  if (kind < 0.1) return put(key, 1.5 * MIB - 100);
  if (kind < 0.2) return put(key, 1.5 * MIB - 5);
  if (kind < 0.3) return put(key, 1.6 * MIB);
  if (kind < 0.4) return put(key, 2.5 * MIB);
  if (kind < 0.6) return put(key, 0.7 * MIB);
  const compare = [{ key, target: 'Value', value: Buffer.alloc(1.7 * MIB) }];
  // What only reads does not go through raft, so its limit does not hold.
  const success = kind < 0.8 ? [{ request_put: { key } }] : [{ request_range: { key } }];
  return { service: 'KV', method: 'txn', request: { compare, success } };
}

/** About as many operations as a transaction may have, at one depth or at two: 128, less what stands at the depth above. */
export function manyOperations(random: SeededRandom, key: Buffer): object {
  const ranges = (count: number): readonly object[] =>
    Array.from({ length: count }, () => ({ request_range: { key, count_only: true } }));
  const count = random.integer(125, 131);
  if (random.chance(0.3)) return { compare: Array.from({ length: count }, () => ({ key, target: 'Mod' })) };
  const [success, failure] = random.chance(0.5) ? [ranges(count), []] : [[], ranges(count)];
  if (random.chance(0.5)) return { success, failure };
  const within = random.integer(0, 4);
  return { success: [...ranges(within), { request_txn: { success: ranges(count - within) } }] };
}
