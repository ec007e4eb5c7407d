/**
 * The part of the audit that is about the config entry: whether a change reached every worker, and whether what they read from memory
 * was honest, above all while etcd was away. Pure functions, as in audit.ts.
 */
import type { RolloutReport } from 'holdfast';
import { lengthMs, type Answers, type Configured, type Outage } from './evidence.ts';
import { finding, type Finding } from './finding.ts';
import { LIVE_MS } from './pace.ts';
import { count, seconds } from './timeline.ts';

export interface PaceEvidence {
  /** Those who were there from before the outage to the end. */
  readonly workers: readonly string[];
  readonly outages: readonly Outage[];
  /** Each worker's in the order in which it gave them. */
  readonly answers: readonly Answers[];
  readonly configured: readonly Configured[];
  /** Every version that the store has had, with its milliseconds a transfer. */
  readonly history: ReadonlyMap<number, number>;
  /** The last change, and when it was sent. */
  readonly change: { readonly version: number; readonly sentAt: bigint };
  readonly rollout: readonly RolloutReport[];
}

export function auditPace(evidence: PaceEvidence): Finding[] {
  return [changeReachedAll(evidence), readsWentOn(evidence), noneMadeUp(evidence)];
}

/** Whether a rollout tells that an instance serves this version, and of no other: what it said on a lost lease may be there for a while. */
export function reports(rollout: readonly RolloutReport[], worker: string, version: number): boolean {
  const own = rollout.filter(({ instanceId }) => instanceId === worker);
  return own.length > 0 && own.every(({ applied, refused }) => applied === version && refused === undefined);
}

/** By what each worker says that it works by, by what it answers, and by what it reports to everybody: three ways that can differ. */
function changeReachedAll({
  workers,
  configured,
  answers,
  rollout,
  change: { version, sentAt },
}: PaceEvidence): Finding {
  const latest = (of: readonly Configured[] | readonly Answers[], worker: string): number | undefined =>
    of.filter((each) => each.worker === worker).at(-1)?.version;
  const bad = workers.flatMap((worker) => [
    ...(latest(configured, worker) === version ? [] : [`${worker} did not apply it`]),
    ...(latest(answers, worker) === version ? [] : [`${worker} does not answer by it`]),
    ...(reports(rollout, worker, version) ? [] : [`${worker} does not report it`]),
  ]);
  const applied = configured.filter((each) => each.version === version && workers.includes(each.worker));
  const lastMs = Math.ceil(Math.max(0, ...applied.map(({ at }) => Number(at - sentAt) / 1e6)));
  const found = `version ${version}, ${applied.length} of ${workers.length} workers within ${lastMs} ms`;
  return finding('config change reached all', bad, bad.length === 0 ? `${found}; rollout() agrees` : found);
}

/**
 * While etcd was away nobody can have proved anything: every answer must say that it is at least as old as the outage was by then, and
 * call itself stale in time. Afterwards it must be live again.
 */
function readsWentOn({ workers, outages, answers }: PaceEvidence): Finding {
  const name = 'reads while etcd was away';
  if (outages.length === 0) return { name, found: 'etcd was not stopped', ok: undefined };
  const bad: string[] = [];
  let total = 0;
  let greatestAgeMs = 0;
  for (const outage of outages) {
    for (const worker of workers) {
      const since = answers.filter((stretch) => stretch.worker === worker && stretch.from >= outage.from);
      const during = since.filter(({ to }) => to <= outage.to);
      const oldest = Math.max(0, ...since.map((stretch) => stretch.greatestAgeMs));
      total += during.reduce((sum, stretch) => sum + stretch.answers, 0);
      greatestAgeMs = Math.max(greatestAgeMs, oldest);
      if (during.length === 0) bad.push(`${worker} did not answer`);
      if (during.some(({ trueOf }) => trueOf > outage.from)) bad.push(`${worker} made itself younger`);
      if (during.length > 0 && during.at(-1)?.source !== 'stale') bad.push(`${worker} did not turn stale`);
      if (oldest < lengthMs(outage)) bad.push(`${worker} was ${seconds(oldest)} old at most`);
      if (!since.some(({ from, source }) => from > outage.to && source === 'live')) bad.push(`${worker} stayed stale`);
    }
  }
  const late = answers.filter(({ source, greatestAgeMs: ageMs }) => source !== 'stale' && ageMs > LIVE_MS);
  bad.push(...late.map(({ worker, source, greatestAgeMs: ageMs }) => `${worker} called ${seconds(ageMs)} ${source}`));
  const found = `${count(total)}, up to ${seconds(greatestAgeMs)} old`;
  return finding(name, bad, bad.length === 0 ? `${found}; live → stale → live` : found);
}

/** Over the whole run: every answer names a version that the store has had, with the value that it had there, and none goes back. */
function noneMadeUp({ answers, history }: PaceEvidence): Finding {
  const highest = new Map<string, number>();
  const bad = new Set<string>();
  for (const { worker, version, transferMs } of answers) {
    if (history.get(version) !== transferMs) bad.add(`${worker} read ${transferMs} ms as version ${version}`);
    if (version < (highest.get(worker) ?? 0)) bad.add(`${worker} went back to version ${version}`);
    highest.set(worker, Math.max(version, highest.get(worker) ?? 0));
  }
  const total = answers.reduce((sum, stretch) => sum + stretch.answers, 0);
  const versions = [...new Set(answers.map(({ version }) => version))].toSorted((one, other) => one - other);
  return finding('no version made up', [...bad], `${count(total)} reads, of versions ${versions.join(' and ')}`);
}
