import { count, seconds, unseen, type Finding } from './finding.ts';
import { all, type Observation, type Of } from './observation.ts';

/** What is called "at once", in milliseconds: a call that waits for etcd would wait longer than this by far. */
const AT_ONCE_MS = 250;

export function outageFindings(observations: readonly Observation[]): readonly Finding[] {
  const cutAt = observations.findIndex(({ type }) => type === 'cut');
  const healedAt = observations.findIndex(({ type }) => type === 'healed');
  const during = cutAt === -1 ? [] : observations.slice(cutAt, healedAt === -1 ? undefined : healedAt);
  const before = observations.slice(0, Math.max(0, cutAt));
  const after = healedAt === -1 ? [] : observations.slice(healedAt);
  return [lostInTime(before, during), refusedAtOnce(before, during), readOn(during), recovered(before, after)];
}

/**
 * A lease has ended by when that is seen. What counts is until when its owner could take what it held for valid, by the clock that `isHeld()` reads:
 * in a process that is starved the signal comes late, as all else does.
 */
function lostInTime(before: readonly Observation[], during: readonly Observation[]): Finding {
  const name = 'lost before lease ends';
  const held = all(before, 'holds');
  const leads = held.flatMap(({ token, worker }) => {
    const lost = all(during, 'lost').find((each) => each.token === token);
    const lapsed = all(during, 'lapsed').find((each) => each.token === token);
    const ended = all(during, 'lease-ended').find((each) => each.worker === worker && each.lease === lost?.lease);
    if (lapsed === undefined || ended === undefined) return [];
    return [{ worker, ms: Math.round(ended.atMs - lapsed.atMs) }];
  });
  if (held.length === 0 || leads.length < held.length) return unseen(name);
  const found = leads.map(({ worker, ms }) => `${worker} ${Math.abs(ms)} ms ${ms > 0 ? 'before' : 'after'} it`);
  return { name, held: leads.every(({ ms }) => ms > 0), found: found.join(', ') };
}

/** By those who held something before. */
function refusedAtOnce(before: readonly Observation[], during: readonly Observation[]): Finding {
  const name = 'no lock without etcd';
  const asked = all(during, 'asked');
  const holders = new Set(all(before, 'holds').map(({ worker }) => worker));
  if (holders.size === 0 || asked.length < holders.size) return unseen(name);
  const granted = [...asked.filter(({ code }) => code === undefined), ...all(during, 'holds')];
  const isAtOnce = asked.every(({ code, waitedMs }) => code === 'UNAVAILABLE' && waitedMs < AT_ONCE_MS);
  const found = asked.map(({ worker, code, tookMs }) => `${worker} ${code ?? 'granted'} after ${tookMs.toFixed(1)} ms`);
  return { name, held: granted.length === 0 && isAtOnce, found: found.join(', ') };
}

function readOn(during: readonly Observation[]): Finding {
  const name = 'reads go on, and age';
  const reads = all(during, 'read');
  const workers = [...new Set(reads.map(({ worker }) => worker))];
  if (workers.length === 0) return unseen(name);
  const byWorker = workers.map((worker) => reads.filter((read) => read.worker === worker));
  const isAging = byWorker.every((own) => own.length > 1 && own.every((read, index) => isOlder(read, own[index - 1])));
  const isStale = byWorker.every((own) => own.at(-1)?.source === 'stale');
  const failed = reads.reduce((sum, read) => sum + read.failed, 0);
  const total = reads.reduce((sum, read) => sum + read.reads, 0);
  const youngest = reads.reduce((one, other) => (ageOf(other) < ageOf(one) ? other : one));
  const oldest = reads.reduce((one, other) => (ageOf(other) > ageOf(one) ? other : one));
  const found = `${count(total, 'read')}, ${failed} failed; from ${describe(youngest)} to ${describe(oldest)}`;
  return { name, held: failed === 0 && isAging && isStale, found };
}

/** Without etcd there is no proof that could make it younger, but for one that was on its way. */
function isOlder(read: Of<'read'>, before: Of<'read'> | undefined): boolean {
  if (before === undefined || before.source === 'live') return true;
  return read.ageMs !== undefined && read.ageMs > ageOf(before);
}

function ageOf({ ageMs = Number.POSITIVE_INFINITY }: Of<'read'>): number {
  return ageMs;
}

function describe(read: Of<'read'>): string {
  return `${seconds(ageOf(read))} (${read.source ?? 'unknown'})`;
}

function recovered(before: readonly Observation[], after: readonly Observation[]): Finding {
  const name = 'all recover';
  const held = all(before, 'holds');
  const back = held.map(({ worker, token }) => ({
    worker,
    again: all(after, 'holds').find((each) => each.worker === worker && each.token > token),
    live: all(after, 'read').find((each) => each.worker === worker && each.source === 'live'),
  }));
  const [healed] = all(after, 'healed');
  if (held.length === 0 || healed === undefined) return unseen(name);
  const missing = back.filter(({ again, live }) => again === undefined || live === undefined);
  if (missing.length > 0) {
    return { name, held: false, found: `not seen of ${missing.map(({ worker }) => worker).join(' and ')}` };
  }
  const tookMs = Math.max(...back.map(({ again }) => (again?.atMs ?? 0) - healed.atMs));
  return {
    name,
    held: true,
    found: `each has a lock again within ${Math.ceil(tookMs)} ms, by a greater token, and reads live`,
  };
}
