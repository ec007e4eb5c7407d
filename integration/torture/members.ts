/** Who was registered, by the store's log, and the judges of what the members and the readers of the registry say. */
import { membersOf } from '../../lib/registry/member.ts';
import type { KeyValue } from '../../lib/store/store.ts';
import type { History, Shown } from './history.ts';
import { membersShown } from './registry-work.ts';
import { endedCalls } from './settling.ts';
import { groupedBy, outlasts, type Stand } from './stands.ts';
import { revisionOf, type LoggedEvent } from './store-log.ts';

/** Who was there from a revision on, until the next state. */
export interface MembersState {
  readonly revision: bigint;
  readonly members: string;
  /** What they stand on, each key with its revision. */
  readonly keys: string;
  /** When the run had learnt of it. */
  readonly at: number;
}

/** All that ever were, in order. */
export function memberStates(log: readonly LoggedEvent[], prefix: string): MembersState[] {
  const states: MembersState[] = [{ revision: 0n, members: '', keys: '', at: 0 }];
  const there = new Map<string, KeyValue>();
  for (const event of log) {
    const key = event.type === 'put' ? event.entry.key : event.key;
    if (!key.startsWith(prefix)) continue;
    if (event.type === 'put') there.set(key, event.entry);
    else there.delete(key);
    const revision = revisionOf(event);
    /* What is in one revision is one state. */
    if (states.at(-1)?.revision === revision) states.pop();
    const keys = [...there.values()].map(({ key: each, modRevision }) => `${each} ${modRevision}`);
    const members = membersShown(membersOf(there.values()));
    states.push({ revision, members, keys: keys.toSorted().join(), at: event.at });
  }
  return states;
}

/**
 * C1: who is shown to be there was there at the revision that is named. C2: that does not go back. C3: it is no older than it says. W1: who
 * follows has been told in the end of what happened up to `untilMs`; absent: its process did not get so far.
 */
export function judgeShown({ client, events }: History, states: readonly MembersState[], untilMs?: number): string[] {
  const shown = events.filter((event): event is Shown => event.kind === 'shown');
  const violations: string[] = [];
  let newest = 0n;
  for (const { how, members, revision, ageMs, at } of shown) {
    const fail = (rule: string, what: string): unknown =>
      violations.push(`${rule} ${client}: registry ${how} at ${revision} ${what}`);
    const place = states.findLastIndex((state) => state.revision <= revision);
    const there = states[place]?.members;
    if (there !== members) fail('C1', `showed ${JSON.stringify(members)}, there was ${JSON.stringify(there)}`);
    if (revision < newest) fail('C2', `was shown after ${newest}`);
    newest = revision > newest ? revision : newest;
    /* Who has come and gone again makes no difference: what was proved since then is that the same keys are there. */
    const again = states.findLastIndex((state) => state.keys === states[place]?.keys && state.at <= at);
    const staleMs = at - (states[Math.max(place, again) + 1]?.at ?? at);
    if (staleMs > ageMs) fail('C3', `was stale for ${staleMs.toFixed(1)} ms and said ${ageMs.toFixed(1)}`);
  }
  const due = untilMs === undefined ? undefined : states.findLast(({ at }) => at <= untilMs);
  const last = shown.findLast(({ how }) => how === 'watch');
  if (due !== undefined && (last?.revision ?? 0n) < due.revision) {
    violations.push(
      `W1 ${client}: registry: the last it was told of is ${last?.revision}, and ${due.revision} was due`,
    );
  }
  return violations;
}

/** G1: when `leave` has resolved, nothing of the registration stands any more, and nothing comes back. `stands`: of the registry. */
export function judgeLeaves(
  history: History,
  stands: readonly Stand[],
  revisionAfter: (at: number) => bigint | undefined,
): string[] {
  const byAddress = groupedBy(stands, ({ entry }) => addressIn(entry));
  return endedCalls(history).flatMap(({ client, call, settled }) => {
    if (call.what !== 'leave' || settled?.outcome !== 'ok') return [];
    const left = revisionAfter(settled.at);
    if (left === undefined) return [];
    const late = (byAddress.get(call.key ?? '') ?? []).find((stand) => outlasts(stand, left));
    if (late === undefined) return [];
    const { key, modRevision } = late.entry;
    const until = late.end === undefined ? 'for good' : `until ${late.end.revision}`;
    return [`G1 ${client}: ${call.key} has left before ${left}, and ${key} of ${modRevision} stands ${until}`];
  });
}

function addressIn({ value }: KeyValue): string {
  return (JSON.parse(value) as { readonly address: string }).address;
}
