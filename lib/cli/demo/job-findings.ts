import type { JobRecord } from '../../schedule/record.ts';
import { count, unseen, type Finding } from './finding.ts';
import { all, type Observation } from './observation.ts';

/** The job is due at every second. */
const EVERY_MS = 1_000;

export function jobFindings(observations: readonly Observation[]): readonly Finding[] {
  return [anotherLeads(observations), noTickTwice(observations), everyTickAccountedFor(observations)];
}

function anotherLeads(observations: readonly Observation[]): Finding {
  const name = 'another leader elected';
  const [killed] = all(observations, 'killed');
  if (killed === undefined) return unseen(name);
  const since = observations.slice(observations.indexOf(killed));
  const own = all(observations, 'ran').findLast(({ worker }) => worker === killed.worker);
  const [next] = all(since, 'ran').filter(({ worker }) => worker !== killed.worker);
  if (own === undefined || next === undefined) return unseen(name);
  const after = ((next.atMs - killed.atMs) / 1_000).toFixed(1);
  const found = `${next.worker} runs it ${after} s after the end of ${killed.worker}, token ${next.token} after ${own.token}`;
  return { name, held: next.token > own.token, found };
}

/** By the marks that runs have left at the resource. */
function noTickTwice(observations: readonly Observation[]): Finding {
  const name = 'no tick run twice';
  const runs = all(observations, 'ran');
  const [killed] = all(observations, 'killed');
  if (killed === undefined || runs.at(-1)?.worker === killed.worker) return unseen(name);
  const ticks = runs.map(({ tick }) => tick);
  const twice = ticks.filter((tick, index) => ticks.indexOf(tick) !== index);
  const found = `${count(runs.length, 'run')} of ${count(new Set(ticks).size, 'tick')}`;
  return { name, held: twice.length === 0, found: twice.length === 0 ? found : `${found}: twice ${twice.join(', ')}` };
}

function everyTickAccountedFor(observations: readonly Observation[]): Finding {
  const name = 'every tick on record';
  const [history] = all(observations, 'history');
  if (history === undefined || history.records.length === 0) return unseen(name);
  const ticks = history.records.flatMap((record) => ticksOf(record)).toSorted((one, other) => one - other);
  const isWhole = ticks.every((tick, index) => index === 0 || tick - (ticks[index - 1] ?? 0) === EVERY_MS);
  const recorded = new Set(ticks);
  const unknown = all(observations, 'ran').filter(({ tick }) => !recorded.has(Date.parse(tick)));
  const states = ['finished', 'failed', 'abandoned', 'missed'].flatMap((state) => {
    const those = history.records.filter((record) => record.state === state).flatMap((record) => ticksOf(record));
    return those.length === 0 ? [] : [`${those.length} ${state}`];
  });
  const found = `${count(ticks.length, 'tick')}: ${states.join(', ')}`;
  return { name, held: isWhole && unknown.length === 0, found };
}

function ticksOf(record: JobRecord): readonly number[] {
  const from = record.scheduledFor.getTime();
  if (record.state !== 'missed') return [from];
  return Array.from({ length: record.count }, (_, index) => from + index * EVERY_MS);
}
