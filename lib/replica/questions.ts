/**
 * What the replicas of one coordinator ask the store, together.
 *
 * A replica of one key asks little and often: whether it is complete every `freshnessMs`, its key when it starts, and again after each
 * broken stream. Ten thousand of them would be two thousand calls a second in quiet times, and twenty thousand at once after an outage.
 * So questions about the present state of single keys travel in one read-only transaction of up to {@link GROUP_SIZE} ranges. etcd
 * answers one as it answers a range: linearizably, at one revision, without raft.
 *
 * 1. gather: a question waits as long as it has patience, or until it would fill a group; one without patience takes along all that wait.
 * 2. send: at most {@link MAX_GROUPS} at a time; the others wait in order. An attempt's timeout begins when it is sent, since a queue of
 *    our own making says nothing about the store.
 * 3. answer: each gets its own range, and the time before the sending of the whole.
 *    What asks for values goes in smaller groups the larger values have been lately, so that an answer stays about {@link ANSWER_BYTES}.
 * 4. split: one key may be refused, or be too large beside others, which says nothing about the others. A group that fails for such a
 *    reason is asked again in two halves; any other failure is everybody's.
 *
 * Questions about the past are bounded alike, but go alone: compaction of what one asks about would fail all. Questions about prefixes
 * are few and are sent as they come.
 */
import { onAbort } from '../runtime/abort.ts';
import type { Instant } from '../runtime/clock.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { StoreError } from '../store/store-error.ts';
import type { CallOptions, RangeRequest, RangeResponse, Store } from '../store/store.ts';

export interface AskOptions extends CallOptions {
  /**
   * How long it may wait for others to go with it, in milliseconds.
   * @default 0
   */
  readonly patienceMs?: number;
}

export interface Answer extends RangeResponse {
  /** Before the question was sent: what had been written by then is in the answer. */
  readonly askedAt: Instant;
}

interface Waiting {
  readonly request: RangeRequest;
  readonly timeoutMs: number;
  readonly isAlone: boolean;
  resolve(answer: Answer): void;
  reject(error: StoreError): void;
  isGivenUp: boolean;
  /** Set while it is under way: nobody waits for it any more. */
  giveUp: (() => void) | undefined;
}

/** etcd refuses transactions of more than 128 operations by default. */
const GROUP_SIZE = 100;

/** More than this takes long to send and to decode, while others wait. */
const ANSWER_BYTES = 1024 * 1024;

/** How large a value is expected to be before any was seen: cautious, since the first burst may be of ten thousand. */
const FIRST_GUESS_BYTES = 64 * 1024;

/** Enough that reads of a few keys never wait for each other, and a small part of the calls that a store has places for. */
const MAX_GROUPS = 16;

export class Questions {
  readonly #runtime: Runtime;
  readonly #store: Store;
  readonly #waiting = new Set<Waiting>();
  /** Somebody who waits has no patience left: all go, as there are places. */
  #isDue = false;
  #alarm: { readonly atMs: number; readonly cancel: () => void } | undefined;
  #underWay = 0;
  #valueBytes = FIRST_GUESS_BYTES;

  constructor(runtime: Runtime, store: Store) {
    this.#runtime = runtime;
    this.#store = store;
  }

  /** Asks once. Rejects with a StoreError, `cancelled` if the signal aborts. */
  async ask(request: RangeRequest, options: AskOptions): Promise<Answer> {
    const { timeoutMs, signal, patienceMs = 0 } = options;
    if (!('key' in request)) {
      const askedAt = this.#runtime.clock.now();
      return { ...(await this.#store.range(request, options)), askedAt };
    }
    let stop: (() => void) | undefined;
    try {
      return await new Promise<Answer>((resolve, reject) => {
        const isAlone = request.revision !== undefined;
        const waiting: Waiting = { request, timeoutMs, isAlone, resolve, reject, isGivenUp: false, giveUp: undefined };
        stop = onAbort(signal, (cause) => {
          reject(new StoreError('cancelled', 'transient', 'The question was cancelled by its replica', { cause }));
          this.#forget(waiting);
        });
        if (!waiting.isGivenUp) this.#gather(waiting, patienceMs);
      });
    } finally {
      stop?.();
    }
  }

  /** 1 */
  #gather(waiting: Waiting, patienceMs: number): void {
    this.#waiting.add(waiting);
    if (patienceMs <= 0 || waiting.isAlone) {
      if (this.#isDue) return;
      this.#isDue = true;
      /* Not at once: whoever asks in the same breath goes along. */
      queueMicrotask(() => this.#send());
      return;
    }
    const { clock } = this.#runtime;
    const atMs = clock.now().monotonicMs + patienceMs;
    if (this.#alarm === undefined || atMs < this.#alarm.atMs) {
      this.#alarm?.cancel();
      const cancel = clock.schedule(patienceMs, () => {
        this.#alarm = undefined;
        this.#isDue = true;
        this.#send();
      });
      this.#alarm = { atMs, cancel };
    }
    if (this.#waiting.size >= GROUP_SIZE) this.#send();
  }

  #forget(waiting: Waiting): void {
    waiting.isGivenUp = true;
    waiting.giveUp?.();
    if (this.#waiting.delete(waiting)) this.#settle();
  }

  /** 2 */
  #send(): void {
    while (this.#underWay < MAX_GROUPS && this.#waiting.size > 0 && (this.#isDue || this.#waiting.size >= GROUP_SIZE)) {
      const group = this.#next();
      this.#underWay += 1;
      void this.#converse(group).finally(() => {
        this.#underWay -= 1;
        this.#send();
      });
    }
    this.#settle();
  }

  #next(): readonly Waiting[] {
    const group: Waiting[] = [];
    let bytes = 0;
    for (const waiting of this.#waiting) {
      if (waiting.isAlone && group.length > 0) continue;
      this.#waiting.delete(waiting);
      group.push(waiting);
      if (waiting.request.keysOnly !== true) bytes += this.#valueBytes;
      if (waiting.isAlone || group.length === GROUP_SIZE || bytes >= ANSWER_BYTES) break;
    }
    return group;
  }

  /** The mean of about the last sixteen. */
  #weigh(request: RangeRequest, { entries }: RangeResponse): void {
    if (request.keysOnly === true) return;
    const bytes = entries[0]?.value.length ?? 0;
    this.#valueBytes += (bytes - this.#valueBytes) / 16;
  }

  /** With nobody waiting, nothing is due and no timer is left. */
  #settle(): void {
    if (this.#waiting.size > 0) return;
    this.#isDue = false;
    this.#alarm?.cancel();
    this.#alarm = undefined;
  }

  /** 3, 4. Never rejects: each question is told by itself. */
  async #converse(asked: readonly Waiting[]): Promise<void> {
    const group = asked.filter(({ isGivenUp }) => !isGivenUp);
    if (group.length === 0) return;
    const askedAt = this.#runtime.clock.now();
    try {
      const answers = await this.#call(group);
      for (const [index, waiting] of group.entries()) {
        const answer = answers[index];
        if (answer === undefined) throw new StoreError('internal', 'transient', 'not every question was answered');
        this.#weigh(waiting.request, answer);
        waiting.resolve({ ...answer, askedAt });
      }
    } catch (error) {
      if (group.length > 1 && isOfOne(error)) {
        const middle = group.length >> 1;
        await this.#converse(group.slice(0, middle));
        await this.#converse(group.slice(middle));
        return;
      }
      for (const waiting of group) waiting.reject(asStoreError(error));
    }
  }

  /** Ends early when nobody of the group waits any more. */
  async #call(group: readonly Waiting[]): Promise<readonly RangeResponse[]> {
    const nobody = new AbortController();
    let left = group.length;
    for (const waiting of group) {
      waiting.giveUp = () => {
        left -= 1;
        if (left === 0) nobody.abort(new Error('nobody waits for the answers'));
      };
    }
    const options = { timeoutMs: Math.max(...group.map(({ timeoutMs }) => timeoutMs)), signal: nobody.signal };
    try {
      const [first, ...others] = group;
      if (first !== undefined && others.length === 0) return [await this.#store.range(first.request, options)];
      const ranges = group.map(({ request }) => ({ type: 'range' as const, ...request }));
      const { responses } = await this.#store.transact({ compare: [], then: ranges }, options);
      return responses.filter((response) => response.type === 'range');
    } finally {
      for (const waiting of group) waiting.giveUp = undefined;
    }
  }
}

/** Whether a group may have failed for the sake of one of its questions. */
function isOfOne(error: unknown): boolean {
  return (
    error instanceof StoreError &&
    (error.reason === 'denied' || error.reason === 'invalid' || error.reason === 'too-large')
  );
}

function asStoreError(error: unknown): StoreError {
  return error instanceof StoreError ? error : new StoreError('internal', 'transient', String(error), { cause: error });
}
