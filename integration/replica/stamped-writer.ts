import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../lib/index.ts';
import type { Store } from '../../lib/store/store.ts';

const call = { timeoutMs: 2_000 };
const pauseMs = 5;

/** Writes a number, or finds it written by an earlier try. What was not answered is tried again, and may be applied late. */
export type WriteNumber = (number: number) => Promise<void>;

/**
 * Writes 1, 2, 3, … to one place, as fast as is gentle, and notes by the clock of this machine when each was there at the latest. So
 * anybody on the same machine who is shown a number can tell how stale it is at least.
 */
export class StampedWriter {
  readonly #writeNumber: WriteNumber;
  readonly #acknowledgedAt: number[] = [];
  readonly #writing: Promise<void>;
  #stopped = false;

  constructor(writeNumber: WriteNumber) {
    this.#writeNumber = writeNumber;
    this.#writing = this.#write();
  }

  /** How many have been written. */
  get written(): number {
    return this.#acknowledgedAt.length;
  }

  /** For how long, at least, `value` has not been the store's any more. */
  stalenessMs(number: number, nowMs: number): number {
    /* The next number stands at the place of this one: the first is 1. */
    const supersededAt = this.#acknowledgedAt[number];
    return supersededAt === undefined ? 0 : nowMs - supersededAt;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#writing;
  }

  async #write(): Promise<void> {
    for (let number = 1; !this.#stopped;) {
      try {
        await this.#writeNumber(number);
        this.#acknowledgedAt.push(performance.now());
        number += 1;
      } catch (error) {
        if (!isUnanswered(error)) throw error;
      }
      await sleep(pauseMs);
    }
  }
}

function isUnanswered(error: unknown): boolean {
  const { name, code } = error as { readonly name?: string; readonly code?: string };
  return name === 'StoreError' || code === 'UNAVAILABLE' || code === 'OUTCOME_UNKNOWN';
}

export function toKey(store: Store, key: string): WriteNumber {
  return async (number) => {
    /* Only on its predecessor: a write that was given up and comes late does nothing. One that had been applied shows as that. */
    const { succeeded, responses } = await store.transact(
      {
        compare: [
          number === 1
            ? { key, target: 'create', is: '=', than: 0n }
            : { key, target: 'value', is: '=', than: String(number - 1) },
        ],
        then: [{ type: 'put', key, value: String(number) }],
        otherwise: [{ type: 'range', key }],
      },
      call,
    );
    const [found] = responses;
    if (!succeeded && !(found?.type === 'range' && found.entries[0]?.value === String(number))) {
      throw new Error(`Somebody else writes ${key}`);
    }
  };
}

/** It settles its own writes: none is applied late. */
export function toConfig(config: Config<number, number>): WriteNumber {
  return async (number) => {
    await config.set(number);
  };
}

/** What a reader was served, and how stale it was. */
export interface Sample {
  readonly number: number;
  readonly atMs: number;
  readonly source: string;
  /** What it was said to be. */
  readonly ageMs: number;
  /** What it was at least. */
  readonly trueMs: number;
}

interface Served {
  readonly value: string | number;
  readonly source: string;
  readonly ageMs: number;
}

/** Looks at an entry again and again until `condition` holds for what it saw, and returns all that it saw. */
export async function sampleUntil(
  writer: StampedWriter,
  read: () => Served | undefined,
  condition: (sample: Sample) => boolean,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (;;) {
    const atMs = performance.now();
    const entry = read();
    if (entry !== undefined) {
      const { source, ageMs } = entry;
      const number = Number(entry.value);
      const sample = { number, atMs, source, ageMs, trueMs: writer.stalenessMs(number, atMs) };
      samples.push(sample);
      if (condition(sample)) return samples;
    }
    await sleep(pauseMs);
  }
}
