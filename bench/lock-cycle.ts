/**
 * Locks that nobody else wants, one for each caller: acquire and release, against one raw transaction through the same gRPC library,
 * and against etcd3's lock, which has no queue and no token and tells of a loss late.
 */
import { Etcd3 } from 'etcd3';
import { createCoordinator } from '../lib/index.ts';
import type { Finding } from './findings.ts';
import { byCallers, inRounds, spreadOf, timeOf } from './rounds.ts';

export interface CycleOptions {
  readonly endpoint: string;
  readonly callers: number;
  readonly rounds: number;
  readonly operations: number;
}

const RAW = 'raw transaction';
const OURS = 'holdfast';
const ETCD3 = 'npm etcd3';

export async function lockCycle(options: CycleOptions): Promise<readonly Finding[]> {
  const { endpoint, callers, rounds, operations } = options;
  const raw = new Etcd3({ hosts: endpoint });
  await using coordinator = createCoordinator({ endpoints: endpoint, namespace: 'bench' });
  try {
    await coordinator.ready();
    const put = async (caller: number): Promise<void> => {
      await raw.kv.txn({
        compare: [],
        success: [{ request_put: { key: Buffer.from(`raw/${caller}`), value: Buffer.from('x') } }],
        failure: [],
      });
    };
    const cycle = async (caller: number): Promise<void> => {
      const held = await coordinator.lock(`cycle-${caller}`).acquire();
      await held.release();
    };
    const etcd3Cycle = async (caller: number): Promise<void> => {
      const held = await raw.lock(`etcd3-${caller}`).acquire();
      await held.release();
    };
    const results = await inRounds(
      [
        { name: RAW, run: (count) => byCallers(callers, count, put) },
        { name: OURS, run: (count) => byCallers(callers, count, cycle) },
        { name: ETCD3, run: (count) => byCallers(callers, count, etcd3Cycle) },
      ],
      { rounds, operations },
    );
    const where = callers === 1 ? '1 caller' : `${callers} callers, ${callers} locks`;
    return [
      {
        what: `lock + unlock, ${where}: time of raw transactions`,
        measured: spreadOf(results, (round) => timeOf(round, OURS) / timeOf(round, RAW)),
        ...(callers === 1 ? { target: { atMost: 2.1 } } : {}),
      },
      {
        what: `lock + unlock, ${where}: npm etcd3's time in ours`,
        measured: spreadOf(results, (round) => timeOf(round, ETCD3) / timeOf(round, OURS)),
        ...(callers === 1 ? {} : { target: { atLeast: 15 } }),
      },
    ];
  } finally {
    raw.close();
  }
}
