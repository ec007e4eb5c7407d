import { onAbort } from '../../runtime/abort.ts';
import { machineNow, type Clock } from '../../runtime/clock.ts';
import { all, type Kind, type Observation, type Of, type Seen } from './observation.ts';

export interface JournalOptions {
  /** Ends all waiting. */
  readonly signal: AbortSignal;
  /** How long something is waited for, in milliseconds. */
  readonly patienceMs: number;
  readonly onAdded: (observation: Observation) => void;
}

/** What was waited for was not seen in time. It is in the journal, and the findings are made of what was seen until then. */
export class UnseenError extends Error {
  override readonly name = 'UnseenError';
}

/**
 * All that was seen, in the order in which it was. The timeline is printed from it, the acts wait for what comes into it, and the findings
 * are computed of it and of nothing else.
 */
export class Journal {
  readonly #clock: Clock;
  readonly #options: JournalOptions;
  readonly #startedAt = machineNow().monotonicMs;
  readonly #observations: Observation[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(clock: Clock, options: JournalOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  /** Milliseconds since the demo began. */
  get nowMs(): number {
    return this.#since(machineNow().monotonicMs);
  }

  get observations(): readonly Observation[] {
    return this.#observations;
  }

  /** Where the next one will be. */
  get end(): number {
    return this.#observations.length;
  }

  /** `at`: when it was seen, in milliseconds on the machine's monotonic clock; now by default. */
  add(seen: Seen, at: number = machineNow().monotonicMs): void {
    const observation = { ...seen, atMs: this.#since(at) };
    this.#observations.push(observation);
    this.#options.onAdded(observation);
    for (const look of this.#waiting) look();
  }

  /**
   * The first of some kinds from a place on that matches, as soon as there is one. Rejects with an UnseenError if none comes in time, and with
   * the reason of the signal.
   */
  first<K extends Kind>(
    kinds: K | readonly K[],
    from: number,
    matches: (observation: Of<K>) => boolean = () => true,
  ): Promise<Of<K>> {
    const { signal, patienceMs } = this.#options;
    return new Promise((resolve, reject) => {
      let at = from;
      const end = (): void => {
        this.#waiting.delete(look);
        cancel();
        unlisten();
      };
      const look = (): void => {
        const found = all(this.#observations.slice(at), kinds).find(matches);
        at = this.end;
        if (found === undefined) return;
        end();
        resolve(found);
      };
      const cancel = this.#clock.schedule(patienceMs, () => {
        end();
        const what = `${[kinds].flat().join(' or ')} within ${patienceMs} ms`;
        this.add({ type: 'unseen', what });
        reject(new UnseenError(what));
      });
      this.#waiting.add(look);
      const unlisten = onAbort(signal, (reason) => {
        this.#waiting.delete(look);
        cancel();
        reject(reason);
      });
      if (!signal.aborted) look();
    });
  }

  #since(at: number): number {
    return Math.round(1e3 * (at - this.#startedAt)) / 1e3;
  }
}
