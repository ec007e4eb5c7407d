/**
 * What a worker is asked all the time, besides its transfers: how long does one take? It answers from memory, without lock or I/O,
 * whether etcd is there or not. What the answers rested on is taken down for the audit.
 */
import type { Config, ConfigSource } from 'holdfast';
import type { Pace } from './pace.ts';

/** Answers that followed each other and rested on the same version from the same source, over a tenth of a second at most. */
export interface Stretch extends Pace {
  readonly version: number;
  readonly source: ConfigSource;
  /** How many. */
  readonly answers: number;
  /** When the first and the last were given, on the machine's monotonic clock, in nanoseconds. */
  readonly from: bigint;
  readonly to: bigint;
  readonly greatestAgeMs: number;
  /** The latest moment that one of them claimed to be true of: when it was given, less its age. On the same clock. */
  readonly trueOf: bigint;
}

const ASKED_EVERY_MS = 10;
const LONGEST_NS = 100_000_000n;

/** Answers until it is disposed of, and tells each stretch when it has ended. */
export class Quotes implements Disposable {
  readonly #timer: NodeJS.Timeout;

  constructor(pace: Config<Pace, Pace>, tell: (stretch: Stretch) => void) {
    let stretch: Stretch | undefined;
    this.#timer = setInterval(() => {
      const next = answer(pace);
      if (next === undefined) return;
      const whole = stretch === undefined ? next : joined(stretch, next);
      if (stretch !== undefined && whole === undefined) tell(stretch);
      stretch = whole ?? next;
    }, ASKED_EVERY_MS);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** One answer. The hot path is its first line; the rest is for the audit. */
function answer(pace: Config<Pace, Pace>): Stretch | undefined {
  const entry = pace.get();
  if (entry === undefined) return undefined;
  const at = process.hrtime.bigint();
  /* Age before source: time goes on between the two, and only so what is called live was of an age to be. */
  const { ageMs } = entry;
  const { version, source, value } = entry;
  const trueOf = at - BigInt(Math.round(ageMs * 1e6));
  return { ...value, version, source, answers: 1, from: at, to: at, greatestAgeMs: ageMs, trueOf };
}

/** Both as one; `undefined` if they do not belong together. */
export function joined(before: Stretch, next: Stretch): Stretch | undefined {
  const { version, source, transferMs } = before;
  const isAlike = version === next.version && source === next.source && transferMs === next.transferMs;
  if (!isAlike || next.to - before.from > LONGEST_NS) return undefined;
  return {
    ...before,
    answers: before.answers + next.answers,
    to: next.to,
    greatestAgeMs: Math.max(before.greatestAgeMs, next.greatestAgeMs),
    trueOf: before.trueOf > next.trueOf ? before.trueOf : next.trueOf,
  };
}
