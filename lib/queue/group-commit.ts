/**
 * Group commit: what the queues of one session send in one turn of the event loop travels in one transaction. Sixty-four callers that
 * take sixty-four locks cost etcd one request and one write to its disk; one caller alone is not delayed.
 *
 * Each part is a nested transaction with compares of its own, so one whose compares fail changes nothing for the others.
 * 1. Keys that are put in one transaction have one create revision, and the order in a queue is that of create revisions: no two
 *    parts of a group enter the same queue.
 * 2. Nested compares do not see what earlier parts have done, nested ranges do: departures go first, so that whoever enters in the same
 *    group is not told to wait for them; and a part that compares who is in its queue shares a group with no other of it.
 * 3. etcd limits operations at each depth to 128 by default, and the size of a request: a group that is full is followed by another.
 * 4. A refusal of the whole may be the fault of one part: a lease that has ended, a permission that is missing, or an exceeded space
 *    quota, which refuses puts and would not refuse deletes. Then each part is sent by itself. An unknown outcome is every
 *    part's, and nothing is sent again by this file.
 * 5. etcd looks for puts at the first depth alone when its space quota is exceeded. A group that puts says so there, by a put that is
 *    never taken: in company or alone, a lock is not to be had then.
 *
 * See docs/adr/0014-group-commit.md.
 */
import { atEndOfTurn } from '../runtime/turn.ts';
import type { Session } from '../session/session.ts';
import { StoreError, type StoreFailure } from '../store/store-error.ts';
import type { Store, Transaction, TransactionResponse } from '../store/store.ts';

/** One queue's transaction, and what it does to the queue: puts a key, puts one if few are there, or deletes one. */
export interface QueueTransaction extends Transaction {
  readonly queue: string;
  readonly does: 'enter' | 'enter-if-few' | 'leave';
}

/** Far enough below etcd's 128, from which the largest part is taken off. */
const MOST_PARTS = 100;

/** Of the values that are put, in UTF-16 units; a request may have 1.5 MiB. */
const MOST_CHARACTERS = 100_000;

/** Refusals that can be the fault of one part alone. */
const OF_ONE_PART: ReadonlySet<StoreFailure> = new Set(['lease-not-found', 'denied', 'quota', 'too-large', 'invalid']);

interface Part {
  readonly transaction: QueueTransaction;
  readonly characters: number;
  readonly resolve: (response: TransactionResponse) => void;
  readonly reject: (error: unknown) => void;
}

export class GroupCommit {
  readonly #store: Store;
  readonly #timeoutMs: number;
  readonly #pending = new Map<Session, Part[]>();

  /** `timeoutMs` is one attempt's. */
  constructor(store: Store, timeoutMs: number) {
    this.#store = store;
    this.#timeoutMs = timeoutMs;
  }

  /** As {@link Store.transact}: one attempt, which ends with its deadline or with the session. */
  transact(session: Session, transaction: QueueTransaction): Promise<TransactionResponse> {
    return new Promise((resolve, reject) => {
      const part = { transaction, characters: charactersOf(transaction), resolve, reject };
      const waiting = this.#pending.get(session);
      if (waiting !== undefined) {
        waiting.push(part);
        return;
      }
      this.#pending.set(session, [part]);
      atEndOfTurn(() => {
        const parts = this.#pending.get(session) ?? [];
        this.#pending.delete(session);
        for (const group of inGroups(parts)) void this.#send(session, group);
      });
    });
  }

  async #send(session: Session, parts: readonly Part[]): Promise<void> {
    const [only] = parts;
    if (parts.length === 1 && only !== undefined) {
      await this.#attempt(session, only.transaction).then(only.resolve, only.reject);
      return;
    }
    try {
      const { revision, responses } = await this.#attempt(session, grouped(parts));
      for (const [index, { resolve, reject }] of parts.entries()) {
        const response = responses[index];
        if (response?.type === 'txn') resolve({ ...response, revision });
        else
          reject(new StoreError('internal', 'unknown', 'etcd answered to a part of a transaction with something else'));
      }
    } catch (error) {
      const isOfOne = error instanceof StoreError && error.outcome !== 'unknown' && OF_ONE_PART.has(error.reason);
      for (const part of parts) {
        if (isOfOne) void this.#attempt(session, part.transaction).then(part.resolve, part.reject);
        else part.reject(error);
      }
    }
  }

  #attempt(session: Session, { compare, then, otherwise = [] }: Transaction): Promise<TransactionResponse> {
    return this.#store.transact({ compare, then, otherwise }, { timeoutMs: this.#timeoutMs, signal: session.signal });
  }
}

/** Parts that may travel together, in as few groups as their order allows; departures first. */
function inGroups(parts: readonly Part[]): readonly (readonly Part[])[] {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return [[only]];
  const groups: { parts: Part[]; characters: number; readonly does: Map<string, Set<QueueTransaction['does']>> }[] = [];
  const isLeaving = ({ transaction }: Part): boolean => transaction.does === 'leave';
  for (const part of [...parts.filter(isLeaving), ...parts.filter((each) => !isLeaving(each))]) {
    const { queue, does } = part.transaction;
    let group = groups.find(
      (each) =>
        each.parts.length < MOST_PARTS &&
        each.characters + part.characters <= MOST_CHARACTERS &&
        agrees(does, each.does.get(queue)),
    );
    if (group === undefined) {
      group = { parts: [], characters: 0, does: new Map() };
      groups.push(group);
    }
    group.parts.push(part);
    group.characters += part.characters;
    group.does.set(queue, (group.does.get(queue) ?? new Set()).add(does));
  }
  return groups.map((group) => group.parts);
}

/** 1, 2. Whether a part can share a group with those of the same queue. */
function agrees(does: QueueTransaction['does'], others: ReadonlySet<QueueTransaction['does']> | undefined): boolean {
  if (others === undefined) return true;
  if (does === 'enter-if-few' || others.has('enter-if-few')) return false;
  return does === 'leave' || !others.has('enter');
}

function grouped(parts: readonly Part[]): Transaction {
  const puts = parts.flatMap(({ transaction }) => transaction.then.filter(({ type }) => type === 'put'));
  return {
    compare: [],
    then: parts.map(({ transaction: { compare, then, otherwise = [] } }) => ({
      type: 'txn',
      compare,
      then,
      otherwise,
    })),
    /* 5 */
    otherwise: puts.slice(0, 1),
  };
}

function charactersOf({ then }: Transaction): number {
  return then.reduce((sum, operation) => sum + (operation.type === 'put' ? operation.value.length : 0), 0);
}
