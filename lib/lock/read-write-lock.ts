/**
 * A lock that many may have to read, or one to write, over processes.
 *
 * Guarantees. While a writer holds it nobody else does, up to the limits that session.ts states. Everybody waits for whoever asked before and
 * stands in the way: readers for the writers, writers for all. So a writer is not starved by readers that keep coming.
 *
 * The tokens of writers rise and are for guards. Those of readers are not: several hold at once, and a guard would refuse the
 * older of them.
 */
import { expectOptions, expectSignal } from '../arguments.ts';
import type { ContestContext } from '../queue/contest.ts';
import { inspectShared, type SharedReport } from '../queue/inspect.ts';
import type { Tenure } from '../queue/tenure.ts';
import { HeldLock } from './held-lock.ts';
import { Lockable, type CallSignal } from './lockable.ts';

/** So many readers of one process stand in the queue at a time; the others wait for them. */
const READERS = 64;

type Side = 'read' | 'write';

/** One side of a read-write lock, with the verbs of a lock. */
export class SharedLock extends Lockable<HeldLock> {
  readonly #writers: string;

  /** @internal */
  constructor(context: ContestContext, name: string, side: Side) {
    const prefix = context.keyspace.queue('rwlock', name);
    const writers = `${prefix}write/`;
    super(context, name, {
      shown: `${side} lock ${JSON.stringify(name)}`,
      queue: side === 'read' ? { prefix, place: `${prefix}read/`, rivals: writers } : { prefix, place: writers },
      places: side === 'read' ? READERS : 1,
      handoffMs: 0,
      most: 1,
    });
    this.#writers = writers;
  }

  /** Who holds it, on either side, and who waits, read through raft. Rejects with CoordinationUnavailableError, AccessDeniedError. */
  inspect(options: CallSignal = {}): Promise<SharedReport> {
    expectOptions('inspect', options, ['signal']);
    return this.contest.read(expectSignal(options.signal), (reading) => inspectShared(reading, this.#writers));
  }

  /** @internal */
  protected wrap(tenure: Tenure): HeldLock {
    return new HeldLock(this.name, tenure, this.contest);
  }
}

/** A lock with two sides, to read together or to write alone. Made by `coordinator.readWriteLock`. */
export class ReadWriteLock {
  /** As it was given to the coordinator. */
  readonly name: string;
  readonly #read: SharedLock;
  readonly #write: SharedLock;

  /** @internal */
  constructor(context: ContestContext, name: string) {
    this.name = name;
    this.#read = new SharedLock(context, name, 'read');
    this.#write = new SharedLock(context, name, 'write');
  }

  /** To read: together with other readers. Its tokens are not for guards. */
  read(): SharedLock {
    return this.#read;
  }

  /** To write: alone. */
  write(): SharedLock {
    return this.#write;
  }
}
