import type { CacheChange } from '../../lib/index.ts';
import type { Span, Store, WatchEvent } from '../../lib/store/store.ts';

/** One key at one revision; without a value it was deleted. */
export interface HistoryEvent {
  readonly revision: bigint;
  readonly key: string;
  readonly value: string | undefined;
}

/**
 * What really happened to a span, as the server itself tells it. A restore from a snapshot begins another timeline, which shares the
 * past of the one before up to the snapshot.
 */
export class History {
  readonly #timelines: HistoryEvent[][] = [[]];
  readonly #keyOf: (full: string) => string;
  #from: bigint;

  /** `from` is the first revision that counts. */
  constructor(from: bigint, keyOf: (full: string) => string) {
    this.#from = from;
    this.#keyOf = keyOf;
  }

  get timelines(): readonly (readonly HistoryEvent[])[] {
    return this.#timelines;
  }

  /** Reads on in one life of a watch that nothing disturbs, up to the event at `to`, before a compaction or restore takes it away. */
  async record(store: Store, span: Span, to: bigint): Promise<void> {
    const over = new AbortController();
    for await (const { events } of store.watch({ span, fromRevision: this.#from }, over.signal)) {
      this.#timelines.at(-1)?.push(...events.map((event) => this.#eventOf(event)));
      const last = this.#timelines.at(-1)?.at(-1);
      if (last !== undefined && last.revision >= to) break;
    }
    over.abort();
    this.#from = to + 1n;
  }

  /** The store was restored to the state of `revision`. */
  fork(revision: bigint): void {
    this.#timelines.push((this.#timelines.at(-1) ?? []).filter((event) => event.revision <= revision));
    this.#from = revision + 1n;
  }

  #eventOf(event: WatchEvent): HistoryEvent {
    return event.type === 'put'
      ? { revision: event.entry.modRevision, key: this.#keyOf(event.entry.key), value: brief(event.entry.value) }
      : { revision: event.modRevision, key: this.#keyOf(event.key), value: undefined };
  }
}

/** The part of a value that tells it from others: values of a megabyte need not be kept. */
export function brief(value: string): string {
  return `${value.slice(0, 20)} (${value.length})`;
}

/** A change as a reader was told of it. */
export interface Told extends HistoryEvent {
  readonly isResync: boolean;
}

export function toldBy(change: CacheChange): Told {
  const { key, revision } = change;
  const value = change.type === 'put' ? brief(change.value) : undefined;
  return { key, revision, value, isResync: change.resynced === true };
}

/**
 * Whether what a reader was told, from the very first event on, is what happened: every event of the timeline once and in order, or a
 * resync after which it knows the very state before the next event that it is told of. Returns how many resyncs there were. Throws
 * an Error that says where it went wrong.
 */
export function checkTold(told: readonly Told[], timelines: readonly (readonly HistoryEvent[])[]): number {
  let now = 0;
  let next = 0;
  let resyncs = 0;
  let isResyncing = false;
  const state = new Map<string, string>();
  const apply = ({ key, value }: HistoryEvent): void => {
    if (value === undefined) state.delete(key);
    else state.set(key, value);
  };
  const describe = (event: HistoryEvent | undefined): string =>
    event === undefined ? 'nothing' : `${event.key}=${event.value ?? 'deleted'} at ${event.revision}`;

  for (const [index, change] of told.entries()) {
    if (change.isResync) {
      if (!isResyncing) resyncs += 1;
      isResyncing = true;
      apply(change);
      continue;
    }
    const expected = timelines[now]?.[next];
    if (isResyncing || expected === undefined || !isSame(expected, change)) {
      /* A timeline, this or a later one, in which the reader's state is the one right before this change. */
      const at = timelines.map((events) => events.findIndex((event) => isSame(event, change)));
      const found = at.findIndex(
        (place, index) =>
          index >= now &&
          place !== -1 &&
          (isResyncing || place === next) &&
          sameState(state, stateOf((timelines[index] ?? []).slice(0, place))),
      );
      if (found === -1) {
        throw new Error(
          `Change ${index} was ${describe(change)} after ${describe(told[index - 1])}${isResyncing ? ', a resync' : ''}; ` +
            `expected ${describe(expected)} of timeline ${now}`,
        );
      }
      now = found;
      next = at[found] ?? -1;
    }
    isResyncing = false;
    apply(change);
    next += 1;
  }
  const last = timelines.at(-1) ?? [];
  if (!sameState(state, stateOf(last))) throw new Error('The last state that it was told of is not the last one.');
  if (!isResyncing && next !== last.length) throw new Error(`It was told of ${next} events of ${last.length}.`);
  return resyncs;
}

function isSame(a: HistoryEvent, b: HistoryEvent): boolean {
  return a.revision === b.revision && a.key === b.key && a.value === b.value;
}

export function stateOf(events: readonly HistoryEvent[]): Map<string, string> {
  const state = new Map<string, string>();
  for (const { key, value } of events) {
    if (value === undefined) state.delete(key);
    else state.set(key, value);
  }
  return state;
}

function sameState(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}
