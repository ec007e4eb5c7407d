/** What was on record of work that is done once, by the store's log, and the judges of those who had it done. */
import { unpackToken } from '../../lib/index.ts';
import type { Returned } from './history.ts';
import type { Ended } from './settling.ts';
import { outlasts, type Stand } from './stands.ts';
import { isExcused, type Tenure, type TenureEvidence, type TenureVerdict } from './tenures.ts';

/** Of one era. */
export interface OnceEvidence {
  /** By key: its records, and the places in the queue for its turn. */
  readonly records: ReadonlyMap<string, readonly OnceRecord[]>;
  readonly turns: ReadonlyMap<string, readonly Stand[]>;
  /** Of all processes there ever were, since a backup can bring back what they did. */
  readonly returned: readonly Returned[];
  /** Of the era's own. */
  readonly calls: readonly Ended[];
  /** By key: who did the work, in the era. */
  readonly tenures: ReadonlyMap<string, readonly Tenure[]>;
  readonly revisionAfter: (at: number) => bigint | undefined;
  /** What excuses whoever does not know yet that the turn was lost. */
  readonly excuses: Omit<TenureEvidence, 'tenures'>;
}

/** What the work has returned, and under which token. */
export interface OnceRecord extends Stand {
  readonly value: string;
  readonly token: bigint;
}

export function onceRecord(stand: Stand): OnceRecord {
  const { value, token } = JSON.parse(stand.entry.value) as { readonly value: string; readonly token: string };
  return { ...stand, value, token: BigInt(token) };
}

export function judgeOnce(evidence: OnceEvidence): TenureVerdict {
  const begun = judgeBeginnings(evidence);
  const violations = [
    ...judgeRecords(evidence),
    ...evidence.calls.flatMap((ended) => {
      if (ended.call.what === 'once') return judgeResult(ended, evidence);
      return ended.call.what === 'forget' ? judgeForgotten(ended, evidence) : [];
    }),
    ...begun.violations,
  ];
  return { violations, allowed: begun.allowed };
}

/**
 * O1: a record is put by whoever is the first in the queue, and never over another; it is what work under that token had returned, and of no
 * work twice.
 */
function judgeRecords({ records, turns, returned }: OnceEvidence): string[] {
  const violations: string[] = [];
  const byValue = new Map(returned.map((each) => [each.value, each]));
  const seen = new Set<string>();
  for (const [key, own] of records) {
    for (const { value, token, at, isOver, entry } of own) {
      const { modRevision } = entry;
      const fail = (what: string): unknown => violations.push(`O1 ${key}: ${value} at ${modRevision} ${what}`);
      if (isOver) fail('was put over another');
      const first = firstAt(turns.get(key) ?? [], modRevision);
      if (unpackToken(token).revision !== first)
        fail(`has the token ${token}, and the first in the queue was ${first}`);
      const work = byValue.get(value);
      if (work?.key !== key || work.token !== token || work.at > at) fail('is of no work that had ended');
      if (seen.has(value)) fail('is there again');
      seen.add(value);
    }
  }
  return violations;
}

/** The create revision of the first in a queue, before what was done at a revision. */
function firstAt(turns: readonly Stand[], revision: bigint): bigint | undefined {
  return turns
    .filter((turn) => turn.entry.modRevision < revision && outlasts(turn, revision))
    .map(({ entry }) => entry.createRevision)
    .toSorted((a, b) => (a < b ? -1 : 1))[0];
}

/**
 * O2: what a call resolves to was on record at some time during it; as no record is put over another, all calls between two ends of a record get
 * one value. O5: work of which the call says that it is recorded is, and of which it says that it is not, is not.
 */
function judgeResult({ client, call, settled }: Ended, { records, revisionAfter }: OnceEvidence): string[] {
  const { key = '', value: own } = call;
  const those = records.get(key) ?? [];
  const describe = (rule: string, what: string): string =>
    `${rule} ${client}: once ${key} of ${call.at.toFixed(1)} (own: ${own}) ${what}`;
  const violations: string[] = [];
  if (settled?.outcome === 'ok') {
    const over = revisionAfter(settled.at);
    const isRight = those.some(
      ({ value, entry, end }) =>
        value === settled.value &&
        (end === undefined || end.at >= call.at) &&
        (over === undefined || entry.modRevision <= over),
    );
    if (!isRight) violations.push(describe('O2', `got ${settled.value}, which was not on record during it`));
  }
  const isRecorded = those.some(({ value }) => value === own);
  const isOpen = settled === undefined || settled.code === 'OUTCOME_UNKNOWN' || settled.value === own;
  if (isRecorded && !isOpen) {
    const how = settled.code === undefined ? `resolved to ${settled.value}` : `rejected with ${settled.code}`;
    violations.push(describe('O5', `${how}, and its own is on record`));
  }
  return violations;
}

/** O6: a record that stood when it was taken back does not stand when that has resolved. */
function judgeForgotten({ client, call, settled }: Ended, { records, revisionAfter }: OnceEvidence): string[] {
  const over = settled?.outcome === 'ok' ? revisionAfter(settled.at) : undefined;
  if (over === undefined) return [];
  return (records.get(call.key ?? '') ?? [])
    .filter((record) => record.at < call.at && outlasts(record, over))
    .map(({ value }) => `O6 ${client}: ${call.key}: ${value} stands at ${over}, after it was taken back`);
}

/** O4: no work begins while a record stands. Who does not know yet that the turn was lost is excused as those who hold a lock are. */
function judgeBeginnings({ records, tenures, revisionAfter, excuses }: OnceEvidence): TenureVerdict {
  const violations: string[] = [];
  const allowed: string[] = [];
  for (const [key, own] of tenures) {
    for (const tenure of own) {
      const { client, token, grantedAt } = tenure;
      const begun = revisionAfter(grantedAt);
      if (begun === undefined) continue;
      const standing = (records.get(key) ?? []).find((record) => record.at < grantedAt && outlasts(record, begun));
      if (standing === undefined) continue;
      const line = `O4 ${client}: work of ${key} under ${token} begins at ${grantedAt.toFixed(1)}, ${standing.value} is on record`;
      if (isExcused(tenure, standing.at, grantedAt - standing.at, excuses)) allowed.push(line);
      else violations.push(line);
    }
  }
  return { violations, allowed };
}
