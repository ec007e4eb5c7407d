import { sleep, type Clock } from '../../runtime/clock.ts';
import { leaseHex } from '../../session/keyspace.ts';
import type { EmbeddedEtcd } from '../../testing/embedded/embedded-etcd.ts';
import type { Journal } from './journal.ts';
import { all } from './observation.ts';

/** How often it is looked, in milliseconds. A lease has ended by when that is seen, so a loss that was before it was before the end. */
const LOOK_MS = 10;

/** Sees in etcd when the leases end that workers have told of, for as long as the signal lets it. */
export async function watchLeases(
  clock: Clock,
  etcd: EmbeddedEtcd,
  journal: Journal,
  signal: AbortSignal,
): Promise<void> {
  const ended = new Set<string>();
  for (;;) {
    const left = new Set(etcd.leases.map((lease) => leaseHex(lease)));
    for (const { worker, lease } of all(journal.observations, 'session')) {
      if (ended.has(lease) || left.has(lease)) continue;
      ended.add(lease);
      journal.add({ type: 'lease-ended', worker, lease });
    }
    await sleep(clock, LOOK_MS, signal);
  }
}
