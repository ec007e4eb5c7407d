import type { Runtime } from '../runtime/runtime.ts';
import type { Session } from '../session/session.ts';
import type { Repetition } from '../store/repeat.ts';
import type { StoreError } from '../store/store-error.ts';
import type { Store } from '../store/store.ts';
import type { GroupCommit } from './group-commit.ts';
import type { Lookout } from './lookout.ts';

/** What a ticket needs of its coordinator. */
export interface TicketContext {
  readonly runtime: Runtime;
  readonly store: Store;
  readonly group: GroupCommit;
  readonly repetition: Repetition;
  readonly epochKey: string;
  readonly lookout: (prefix: string) => Lookout;
  /** A call failed: find out whether there is contact, and wait until there is. Ends when the session does. */
  readonly contact: (session: Session, error: StoreError) => Promise<void>;
  readonly giveUp: (session: Session, reason: Error) => void;
}

/** Of a queue that several may have at once. */
export interface SlotOptions {
  /** The prefix of their keys, which are numbered from 0. */
  readonly prefix: string;
  readonly count: number;
}

/** What a ticket is to know of its queue. */
export interface TicketQueue {
  /** The prefix of the queue's keys. */
  readonly prefix: string;
  /**
   * Where its own key stands, below the prefix.
   * @default the prefix itself
   */
  readonly place?: string | undefined;
  /**
   * The prefix of the keys that are waited for: of a reader, the writers.
   * @default all of the queue
   */
  readonly rivals?: string | undefined;
  /**
   * So many of those before it may have it beside it.
   * @default 0
   */
  readonly beside?: number | undefined;
  /** Of which each that has the queue claims one; as many as may have it. */
  readonly slots?: SlotOptions | undefined;
  /** What stands in its own key: nothing for a lock, the proclaimed value for an election. */
  readonly value: string;
  /** A held key is watched only after this long, in milliseconds. */
  readonly watchAfterMs: number;
}
