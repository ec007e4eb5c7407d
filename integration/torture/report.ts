import { cellsOf, type Cell } from './coverage.ts';
import { partitions } from './history.ts';
import { judge, type Evidence, type Judgement } from './judgement.ts';
import type { Hit } from './nemesis.ts';
import { handovers, tenuresOf } from './tenures.ts';

/** What a run did, and what came of it. */
export interface TortureReport extends Judgement {
  readonly faults: readonly string[];
  readonly milestones: readonly string[];
  readonly leftOut: readonly string[];
  readonly hits: readonly Hit[];
  readonly cells: readonly Cell[];
  readonly rounds: number;
  readonly processes: number;
  /** The slowest workload, after the healing of a round. */
  readonly slowestMs: number;
  /** Reads and writes with a stale token, of the counter behind the guard. */
  readonly refused: number;
  /** Holders and leaders whose signal told them. */
  readonly lossesTold: number;
  readonly handovers: Readonly<Record<'lock' | 'election' | 'partition', number>>;
  readonly authentications: number;
  readonly bare: { readonly writes: number; readonly lost: number };
}

export function reportOf(evidence: Evidence): TortureReport {
  const { histories, rounds, register, faults, milestones, leftOut, authentications } = evidence;
  const hits = rounds.flatMap((round) => round.hits).filter(({ hit }) => hit);
  const judgement = judge(evidence);
  const writes = register.bare.accepted.length;
  return {
    ...judgement,
    ...{ faults, milestones, leftOut, authentications, hits, rounds: rounds.length, processes: histories.length },
    cells: cellsOf([...faults, ...milestones], hits, histories),
    slowestMs: Math.max(...rounds.flatMap(({ recovered }) => Object.values(recovered))),
    refused: judgement.endings.get('lock guarded write: failed STALE_TOKEN') ?? 0,
    lossesTold: histories.flatMap(({ events }) => events).filter(({ kind }) => kind === 'lost').length,
    handovers: {
      lock: handovers(tenuresOf(histories, 'lock')),
      election: handovers(tenuresOf(histories, 'election')),
      partition: partitions.reduce((sum, partition) => sum + handovers(tenuresOf(histories, partition)), 0),
    },
    bare: { writes, lost: writes - register.bare.final },
  };
}
