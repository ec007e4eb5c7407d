import { count, unseen, type Finding } from './finding.ts';
import { all, type Observation } from './observation.ts';

/** A call for one of so many reads would be seen. */
const READS_A_CALL = 1_000;

export function configFindings(observations: readonly Observation[]): readonly Finding[] {
  const setAt = observations.findIndex(({ type }) => type === 'set');
  const after = setAt === -1 ? [] : observations.slice(setAt);
  const workers = new Set(all(observations.slice(0, Math.max(0, setAt)), 'serves').map(({ worker }) => worker));
  return [servedByAll(after, workers), readFromMemory(after)];
}

function servedByAll(after: readonly Observation[], workers: ReadonlySet<string>): Finding {
  const name = 'change reaches all';
  const [set] = all(after, 'set');
  if (set === undefined || workers.size === 0) return unseen(name);
  const served = [...workers].map((worker) => ({
    worker,
    at: all(after, 'serves').find((each) => each.worker === worker && each.version === set.version)?.atMs,
    last: all(after, 'read').findLast((each) => each.worker === worker)?.version,
  }));
  const held = served.every(({ at, last }) => at !== undefined && last === set.version);
  const found = served.map(({ worker, at }) =>
    at === undefined ? `${worker} never` : `${worker} after ${(at - set.atMs).toFixed(1)} ms`,
  );
  return { name, held, found: `version ${set.version}: ${found.join(', ')}` };
}

function readFromMemory(after: readonly Observation[]): Finding {
  const name = 'reads make no call';
  const callsAt = after.findIndex(({ type }) => type === 'calls');
  const [answered] = all(after, 'calls');
  const reads = all(after.slice(0, Math.max(0, callsAt)), 'read').reduce((sum, read) => sum + read.reads, 0);
  if (answered === undefined || reads === 0) return unseen(name);
  const { calls } = answered;
  return {
    name,
    held: calls * READS_A_CALL < reads,
    found: `${count(reads, 'read')}, and ${count(calls, 'call')} of whatever kind to etcd meanwhile`,
  };
}
