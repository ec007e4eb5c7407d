import { setTimeout as sleep } from 'node:timers/promises';
import type { CachedEntry } from '../../lib/index.ts';
import type { Store } from '../../lib/store/store.ts';

const call = { timeoutMs: 2_000 };
const pauseMs = 5;

/**
 * Writes 1, 2, 3, … under one key, as fast as is gentle, and notes by the clock of this machine when each was there at the latest. So
 * anybody on the same machine who is shown a number can tell how stale it is at least.
 */
export class StampedWriter {
  readonly #store: Store;
  readonly #key: string;
  readonly #acknowledgedAt: number[] = [];
  readonly #writing: Promise<void>;
  #stopped = false;

  constructor(store: Store, key: string) {
    this.#store = store;
    this.#key = key;
    this.#writing = this.#write();
  }

  /** How many have been written. */
  get written(): number {
    return this.#acknowledgedAt.length;
  }

  /** For how long, at least, `value` has not been the store's any more. */
  stalenessMs(value: string, nowMs: number): number {
    /* The next number stands at the place of this one: the first is 1. */
    const supersededAt = this.#acknowledgedAt[Number(value)];
    return supersededAt === undefined ? 0 : nowMs - supersededAt;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#writing;
  }

  async #write(): Promise<void> {
    for (let number = 1; !this.#stopped;) {
      try {
        /* Only on its predecessor: a write that was given up and comes late does nothing. One that had been applied shows as that. */
        const { succeeded, responses } = await this.#store.transact(
          {
            compare: [
              number === 1
                ? { key: this.#key, target: 'create', is: '=', than: 0n }
                : { key: this.#key, target: 'value', is: '=', than: String(number - 1) },
            ],
            then: [{ type: 'put', key: this.#key, value: String(number) }],
            otherwise: [{ type: 'range', key: this.#key }],
          },
          call,
        );
        const [found] = responses;
        if (!succeeded && !(found?.type === 'range' && found.entries[0]?.value === String(number))) {
          throw new Error(`Somebody else writes ${this.#key}`);
        }
        this.#acknowledgedAt.push(performance.now());
        number += 1;
      } catch (error) {
        if (!(error instanceof Error && error.name === 'StoreError')) throw error;
      }
      await sleep(pauseMs);
    }
  }
}

/** What a reader was served, and how stale it was. */
export interface Sample {
  readonly atMs: number;
  readonly source: string;
  /** What it was said to be. */
  readonly ageMs: number;
  /** What it was at least. */
  readonly trueMs: number;
}

/** Looks at a cached entry again and again until `condition` holds for what it saw, and returns all that it saw. */
export async function sampleUntil(
  writer: StampedWriter,
  read: () => CachedEntry | undefined,
  condition: (sample: Sample) => boolean,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (;;) {
    const atMs = performance.now();
    const entry = read();
    if (entry !== undefined) {
      const { value, source, ageMs } = entry;
      const sample = { atMs, source, ageMs, trueMs: writer.stalenessMs(value, atMs) };
      samples.push(sample);
      if (condition(sample)) return samples;
    }
    await sleep(pauseMs);
  }
}
