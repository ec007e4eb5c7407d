/**
 * What time it is for the others. Before a leader claims ticks it asks, since a clock that runs an hour ahead would take an hour of
 * ticks before their time and leave none for whoever leads next.
 *
 * Protocol, one for a coordinator, whatever number of jobs it has.
 * 1. take part: a key on the lease says that we are there.
 * 2. ask: put the question. Its revision tells it from every other one, and the same answer lists who is there.
 * 3. answer: whoever sees a question puts its wall time under its key, with the question's revision.
 * 4. compare: an answer to this question or a later one was made after the question was sent. So if it is older than that by our clock, we
 *    are ahead by at least the difference.
 *
 * Nothing here decides who wins: it can only keep a leader from claiming. What was lost, late or parked is an answer less. A coordinator
 * that is alone has nobody to ask, and trusts itself.
 */
import { fullJitterMs } from '../resilience/backoff.ts';
import { abortable, linkSignals } from '../runtime/abort.ts';
import { sleep, type Instant } from '../runtime/clock.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { leaseHex } from '../session/keyspace.ts';
import type { KeyOwner, Session } from '../session/session.ts';
import { entriesOf } from '../store/entries.ts';
import { follow, revisionOf } from '../store/follow.ts';
import { repeat, type Repetition } from '../store/repeat.ts';
import type { KeyValue, Store } from '../store/store.ts';

/** How somebody else's clock compares. */
export interface Peer {
  readonly instanceId: string;
  /** By how much ours is ahead of it, at least, in milliseconds; negative if it is behind. */
  readonly aheadMs: number;
}

export interface Comparison {
  /** Those who answered. */
  readonly peers: readonly Peer[];
  /** By how much our clock is ahead of the lower median of all, ours included; 0 where it is the median itself. */
  readonly aheadMs: number;
  readonly at: Instant;
}

interface Answer {
  readonly instanceId: string;
  /** The revision of the question, as decimal text. */
  readonly to: string;
  readonly wallMs: number;
}

/** Between the looks at the answers. Together, how long is waited for those who do not answer. */
const LOOKS_MS: readonly number[] = [25, 50, 100, 200, 400, 600, 625];

/** Those who start together are given so long to see each other. */
const SETTLE_MS = 1_000;

/** After a failure to take part. */
const RETRY = { baseMs: 500, capMs: 30_000 };

export class PeerClocks {
  readonly #runtime: Runtime;
  readonly #store: Store;
  readonly #repetition: Repetition;
  readonly #session: (signal: AbortSignal) => Promise<Session>;
  readonly #keys: { readonly question: string; readonly answers: string };
  readonly #instanceId: string;
  readonly #closed = new AbortController();
  #part: Promise<void> | undefined;
  /** On the monotonic clock. */
  #presentSinceMs: number | undefined;
  #known: Comparison | undefined;
  #asking: Promise<Comparison> | undefined;

  constructor(
    runtime: Runtime,
    store: Store,
    repetition: Repetition,
    session: (signal: AbortSignal) => Promise<Session>,
    keys: { readonly question: string; readonly answers: string },
    instanceId: string,
  ) {
    this.#runtime = runtime;
    this.#store = store;
    this.#repetition = repetition;
    this.#session = session;
    this.#keys = keys;
    this.#instanceId = instanceId;
  }

  /** Begins to take part, in the background. */
  join(): void {
    this.#part ??= this.#takePart();
  }

  /** A comparison no older than `maxAgeMs`. Those who ask at the same time share one. Rejects with a StoreError or `signal.reason`. */
  compare(maxAgeMs: number, signal: AbortSignal): Promise<Comparison> {
    const known = this.#known;
    const { monotonicMs } = this.#runtime.clock.now();
    if (known !== undefined && monotonicMs - known.at.monotonicMs <= maxAgeMs) return Promise.resolve(known);
    this.#asking ??= this.#ask(this.#closed.signal).finally(() => {
      this.#asking = undefined;
    });
    return abortable(this.#asking, signal);
  }

  async close(): Promise<void> {
    this.#closed.abort(new Error('the schedules are closed'));
    await this.#part;
    await this.#asking?.catch(() => {});
  }

  /** 1 and 3, on one session after the other. */
  async #takePart(): Promise<void> {
    const { clock, random, logger } = this.#runtime;
    const { signal: closed } = this.#closed;
    for (let failures = 0; !closed.aborted;) {
      try {
        const session = await this.#session(closed);
        await this.#takePartOn(session, () => {
          this.#presentSinceMs ??= clock.now().monotonicMs;
          failures = 0;
        });
      } catch (error) {
        if (closed.aborted) return;
        failures += 1;
        logger.debug('Taking part in comparing clocks failed', {
          event: 'schedule.clock-untold',
          error: String(error),
        });
        const pauseMs = fullJitterMs(failures, RETRY, () => random.uniform());
        await sleep(clock, pauseMs, closed).catch(() => {});
      }
    }
  }

  /** 3. Of questions that come together the newest is answered: it serves those who asked before, too. */
  async #takePartOn(session: Session, onPresent: () => void): Promise<void> {
    const { signal, unlink } = linkSignals(session.signal, this.#closed.signal);
    const own = leaseHex(session.lease);
    try {
      const since = await this.#tell(session, 0n, signal);
      onPresent();
      const request = { span: { key: this.#keys.question }, fromRevision: since + 1n };
      for await (const { events } of follow(this.#runtime, this.#store, request, signal)) {
        const last = events.at(-1);
        if (last?.type === 'put' && last.entry.value !== own) await this.#tell(session, revisionOf(last), signal);
      }
    } finally {
      unlink();
    }
  }

  /** Resolves to the revision of the put. The time is read for each attempt: an old one would look like a clock that is behind. */
  async #tell(session: Session, question: bigint, signal: AbortSignal): Promise<bigint> {
    const { lease } = session;
    const key = `${this.#keys.answers}${leaseHex(lease)}`;
    /* The audit deletes keys on the lease that nobody owns. The loss of this one matters to nobody. */
    const owner: KeyOwner = { key, createRevision: undefined, lost: () => {} };
    session.own(owner);
    const put = () => {
      const { wallMs } = this.#runtime.clock.now();
      const answer: Answer = { instanceId: this.#instanceId, to: String(question), wallMs };
      const then = [{ type: 'put' as const, key, value: JSON.stringify(answer), lease }];
      return this.#store.transact({ compare: [], then }, { timeoutMs: this.#repetition.attemptTimeoutMs, signal });
    };
    const { revision } = await repeat(this.#runtime, this.#repetition, put, { signal });
    return revision;
  }

  /** 2 and 4 */
  async #ask(signal: AbortSignal): Promise<Comparison> {
    const { clock } = this.#runtime;
    const own = leaseHex((await this.#session(signal)).lease);
    const presentForMs = clock.now().monotonicMs - (this.#presentSinceMs ?? clock.now().monotonicMs);
    if (presentForMs < SETTLE_MS) await sleep(clock, SETTLE_MS - presentForMs, signal);

    const call = { timeoutMs: this.#repetition.attemptTimeoutMs, signal };
    let sentAt = clock.now();
    const ask = () => {
      sentAt = clock.now();
      const question = { type: 'put' as const, key: this.#keys.question, value: own };
      const whoIsThere = { type: 'range' as const, prefix: this.#keys.answers };
      return this.#store.transact({ compare: [], then: [question, whoIsThere] }, call);
    };
    const asked = await repeat(this.#runtime, this.#repetition, ask, { signal });
    const isOther = ({ key }: KeyValue): boolean => key !== `${this.#keys.answers}${own}`;
    const present = entriesOf(asked.responses[1]).filter(isOther);

    let answers: readonly Answer[] = [];
    for (const pauseMs of LOOKS_MS) {
      if (answers.length >= present.length) break;
      await sleep(clock, pauseMs, signal);
      const look = () => this.#store.range({ prefix: this.#keys.answers }, call);
      const { entries } = await repeat(this.#runtime, this.#repetition, look, { signal });
      answers = entries.filter(isOther).flatMap((entry) => readAnswer(entry, asked.revision));
    }
    const peers = answers.map(({ instanceId, wallMs }) => ({ instanceId, aheadMs: sentAt.wallMs - wallMs }));
    this.#known = { peers, aheadMs: aheadOfMedian(peers), at: sentAt };
    return this.#known;
  }
}

/** Of an even number the lower one: of two clocks that differ, the one that is behind eats nothing. */
export function aheadOfMedian(peers: readonly Peer[]): number {
  const all = [0, ...peers.map(({ aheadMs }) => aheadMs)].toSorted((a, b) => b - a);
  return all[Math.floor((all.length - 1) / 2)] ?? 0;
}

/** An answer to the question or to a later one. */
export function readAnswer({ value }: KeyValue, question: bigint): readonly Answer[] {
  try {
    const answer = JSON.parse(value) as Partial<Answer> | null;
    const { instanceId, to, wallMs } = answer ?? {};
    if (typeof instanceId !== 'string' || typeof to !== 'string' || !Number.isFinite(wallMs)) return [];
    return BigInt(to) >= question ? [{ instanceId, to, wallMs: wallMs as number }] : [];
  } catch {
    return [];
  }
}
