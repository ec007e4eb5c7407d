import { Etcd3 } from 'etcd3';
import { createCoordinator } from '../lib/index.ts';
import { byCallers, inRounds, ratios, type Contestant } from './rounds.ts';

export interface CycleOptions {
  readonly endpoint: string;
  readonly callers: number;
  readonly rounds: number;
  readonly operations: number;
}

export interface Row {
  readonly name: string;
  readonly guarantee: string;
  readonly least: number;
  readonly median: number;
  readonly greatest: number;
}

const GUARANTEES: Readonly<Record<string, string>> = {
  'raw transaction': 'none: one put, the limit of the transport',
  'holdfast lock + unlock': 'queue, fencing token, loss before expiry',
  'npm etcd3 lock + unlock': 'no queue, no token, loss reported late',
};

/** Locks that nobody else wants, one for each caller: acquire and release, against one raw transaction through the same gRPC library. */
export async function lockCycle({ endpoint, callers, rounds, operations }: CycleOptions): Promise<readonly Row[]> {
  const raw = new Etcd3({ hosts: endpoint });
  const coordinator = createCoordinator({ endpoints: endpoint, namespace: 'bench' });
  try {
    await coordinator.ready();
    const contestants: readonly Contestant[] = [
      {
        name: 'raw transaction',
        run: (count) =>
          byCallers(callers, count, async (caller) => {
            await raw.kv.txn({
              compare: [],
              success: [{ request_put: { key: Buffer.from(`raw/${caller}`), value: Buffer.from('x') } }],
              failure: [],
            });
          }),
      },
      {
        name: 'holdfast lock + unlock',
        run: (count) =>
          byCallers(callers, count, async (caller) => {
            const held = await coordinator.lock(`cycle-${caller}`).acquire();
            await held.release();
          }),
      },
      {
        name: 'npm etcd3 lock + unlock',
        run: (count) =>
          byCallers(callers, count, async (caller) => {
            const held = await raw.lock(`etcd3-${caller}`).acquire();
            await held.release();
          }),
      },
    ];
    const results = await inRounds(contestants, { rounds, operations });
    const [limit] = results;
    if (limit === undefined) return [];
    return results.map((result) => ({
      name: result.name,
      guarantee: GUARANTEES[result.name] ?? '',
      ...ratios(result, limit),
    }));
  } finally {
    await coordinator.close();
    raw.close();
  }
}
