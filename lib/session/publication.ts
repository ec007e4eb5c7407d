import { fullJitterMs } from '../resilience/backoff.ts';
import { onAbort } from '../runtime/abort.ts';
import { sleep } from '../runtime/clock.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { Latest } from '../sequence/latest.ts';
import { entriesOf } from '../store/entries.ts';
import { StoreError } from '../store/store-error.ts';
import type { Operation } from '../store/store.ts';
import type { Operations } from './operations.ts';
import type { KeyOwner, Session } from './session.ts';

export interface PublicationOptions {
  /** The key in which it is said, on the lease of a session. */
  readonly keyOn: (session: Session) => string;
  /** Before it says anything it waits for so long, and up to twice of it, in milliseconds, so that a burst is said once. 0: at once. */
  readonly paceMs: number;
}

/** It may stand, or something else. */
const UNKNOWN = Symbol('unknown');

interface State {
  readonly wanted: string | undefined;
  /** What stands. */
  readonly said: string | typeof UNKNOWN | undefined;
  /** Something was sent and has not come to an end. */
  readonly isUnderWay: boolean;
  /** Why it could not be said the last time. */
  readonly failure?: Error | undefined;
}

/** So many places of lost sessions are taken away at a time: etcd limits the operations of a transaction. */
const MOST_FORMER = 50;

/** After something could not be said. */
const RETRY = { baseMs: 500, capMs: 5_000 };

/**
 * Something that this process says for as long as it lives: that it is a member, which version it serves. It stands under a key on the
 * session's lease, so it is gone when the process is.
 *
 * 1. What is to be said is put, the newest of what came meanwhile; nothing to say is a delete of this very life of the key.
 * 2. On a new session it is said again, and also when somebody has removed the key, once the session's audit finds that out.
 * 3. Each is done once, see operations.ts: what comes late can neither undo what was said after it, nor bring back what was taken back.
 * 4. What was said on a session that was lost stands until its lease ends, and what was on its way can still arrive. So the next thing that is
 *    done takes that away, too, with the key of the lost session, without which nothing that is late can be applied.
 */
export class Publication {
  readonly #runtime: Runtime;
  readonly #operations: Operations;
  readonly #options: PublicationOptions;
  readonly #closed = new AbortController();
  readonly #state = new Latest<State>({ wanted: undefined, said: undefined, isUnderWay: false });
  #place: Place | undefined;
  /** On sessions that were lost. */
  #former: readonly Place[] = [];
  #isKept = false;

  constructor(runtime: Runtime, operations: Operations, options: PublicationOptions) {
    this.#runtime = runtime;
    this.#operations = operations;
    this.#options = options;
  }

  /** What is to be said from now on; `undefined`: nothing. */
  say(value: string | undefined): void {
    this.#set({ wanted: value });
    if (this.#isKept) return;
    this.#isKept = true;
    void this.#keep().catch(() => {});
  }

  /** Whether what is to be said stands, as far as this process knows, and nothing else is under way. */
  get isSaid(): boolean {
    const { wanted, said, isUnderWay } = this.#state.value;
    return wanted === said && !isUnderWay && this.#former.length === 0;
  }

  /** The create revision of the key that stands. */
  get revision(): bigint | undefined {
    return typeof this.#state.value.said === 'string' ? this.#place?.createRevision : undefined;
  }

  /** Why it does not stand, where that is known. */
  get failure(): Error | undefined {
    return this.#state.value.failure;
  }

  /** Calls back whenever {@link isSaid} or {@link revision} may have changed. */
  subscribe(listener: () => void): () => void {
    return this.#state.subscribe(listener);
  }

  /** Says nothing new any more. What stands stays, until it was taken back or the lease ends. */
  close(): void {
    this.#closed.abort(new Error('the publication is closed'));
  }

  async #keep(): Promise<void> {
    const { clock, random, logger } = this.#runtime;
    const { signal } = this.#closed;
    for (let failures = 0; ;) {
      await this.#until(() => !this.isSaid, signal);
      const { paceMs } = this.#options;
      if (paceMs > 0) await sleep(clock, paceMs * (1 + random.uniform()), signal);
      try {
        this.#set({ isUnderWay: true });
        const { wanted: value } = this.#state.value;
        await (value === undefined ? this.#takeBack(signal) : this.#put(value, signal));
        failures = 0;
        this.#set({ isUnderWay: false, failure: undefined });
      } catch (error) {
        signal.throwIfAborted();
        const failure = error instanceof Error ? error : new Error(String(error));
        const isUnsure = this.#place !== undefined && !(error instanceof StoreError);
        this.#set({ isUnderWay: false, failure, ...(isUnsure ? { said: UNKNOWN } : {}) });
        failures += 1;
        /* What etcd refuses for good, somebody has to mend. */
        const level = error instanceof StoreError && error.outcome === 'permanent' ? 'warn' : 'debug';
        logger[level]('Something could not be said', { event: 'publication.unsaid', reason: failure.message });
        const pauseMs = fullJitterMs(failures, RETRY, () => random.uniform());
        await sleep(clock, pauseMs, signal);
      }
    }
  }

  /** 1, 2. The key is ours alone, so whatever stands there is our own word. */
  async #put(value: string, signal: AbortSignal): Promise<void> {
    let place: Place | undefined;
    let former: readonly Place[] = [];
    const { revision, responses } = await this.#operations.commit((session) => {
      place = this.#placeOn(session);
      former = this.#former.slice(0, MOST_FORMER);
      const { key } = place;
      const put = { type: 'put', key, value, lease: session.lease } as const;
      return { compare: [], then: [put, { type: 'range', key }, ...former.flatMap(ended)] };
    }, signal);
    this.#forget(former);
    if (place === undefined || place !== this.#place) return;
    /* It says when the key was made; where the answer was lost, the put has made it, unless it stood before. */
    place.createRevision = entriesOf(responses[1])[0]?.createRevision ?? place.createRevision ?? revision;
    this.#set({ said: value });
  }

  async #takeBack(signal: AbortSignal): Promise<void> {
    let place: Place | undefined;
    let former: readonly Place[] = [];
    await this.#operations.commit(
      () => {
        place = this.#place;
        former = this.#former.slice(0, MOST_FORMER);
        const own = place === undefined ? [] : [deleted(place.key)];
        return { compare: [], then: [...own, ...former.flatMap(ended)] };
      },
      signal,
      { isRepeatable: true },
    );
    this.#forget(former);
    if (place !== undefined) this.#leave(place);
  }

  #placeOn(session: Session): Place {
    if (this.#place?.session !== session)
      this.#place = new Place(session, this.#options.keyOn(session), (lost) => this.#leave(lost));
    return this.#place;
  }

  #leave(place: Place): void {
    place.disown();
    if (this.#place !== place) return;
    this.#place = undefined;
    /* 4 */
    if (place.session.signal.aborted) this.#former = [...this.#former, place];
    this.#set({ said: undefined });
  }

  #forget(places: readonly Place[]): void {
    this.#former = this.#former.filter((place) => !places.includes(place));
  }

  #set(part: Partial<State>): void {
    this.#state.set({ ...this.#state.value, ...part });
  }

  #until(isSo: () => boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      let stop = (): void => {};
      let unlisten = (): void => {};
      const look = (): void => {
        if (!isSo()) return;
        stop();
        unlisten();
        resolve();
      };
      stop = this.subscribe(look);
      unlisten = onAbort(signal, (reason) => {
        stop();
        reject(reason);
      });
      if (!signal.aborted) look();
    });
  }
}

function deleted(key: string): Operation {
  return { type: 'delete', key };
}

/** 4 */
function ended({ key, session }: Place): readonly Operation[] {
  return [deleted(key), deleted(session.identity.key)];
}

/** The key as the session's audit knows it: whoever removes it, or ends the session, is noticed. */
class Place implements KeyOwner {
  readonly session: Session;
  readonly key: string;
  readonly lost: () => void;
  createRevision: bigint | undefined;

  constructor(session: Session, key: string, onLost: (place: Place) => void) {
    this.session = session;
    this.key = key;
    this.lost = () => onLost(this);
    session.own(this);
  }

  disown(): void {
    this.session.disown(this);
  }
}
