/**
 * The instants of a cron pattern in a time zone. The only user of croner, which computes here and never waits: every question names the
 * instant it is asked from, so no answer depends on the clock of the process that asks.
 *
 * Daylight saving, as croner has it and cadence.test.ts holds it: a single time of day ("30 2 * * *") that the change leaves out comes at
 * the first moment after the gap, and one that the change repeats comes once, at its first occurrence. Everything else ("0 * * * *",
 * "30 2,14 * * *") follows the wall: left out is left out, and repeated comes twice. See docs/schedules.md.
 */
import { Cron } from 'croner';
import { expectText, show } from '../arguments.ts';

/** Instants that are due, the newest of them one by one. All in milliseconds since 1970. */
export interface Due {
  /** In order; {@link NEWEST} at most. */
  readonly newest: readonly number[];
  /** Those before them. */
  readonly earlier: Stretch | undefined;
}

/** Some instants in a row. */
export interface Stretch {
  readonly fromMs: number;
  readonly toMs: number;
  /** How many; at least so many where there were more than {@link COUNTED} in all. */
  readonly count: number;
}

/** So many are told one by one. */
export const NEWEST = 100;

/** So many are counted, and one more. Each costs about 0.1 ms, during which the process does nothing else. */
export const COUNTED = 1_000;

const NONE: Due = { newest: [], earlier: undefined };

export class Cadence {
  readonly pattern: string;
  readonly timezone: string;
  readonly #cron: Cron;
  /** The last answer: a waiting job asks the same question again and again. */
  #known: { readonly afterMs: number; readonly next: number | undefined } | undefined;

  /** Throws a TypeError for what is no pattern or no time zone. */
  constructor(pattern: string, timezone: string) {
    this.pattern = expectPattern(pattern);
    this.timezone = expectTimezone(timezone);
    try {
      this.#cron = new Cron(pattern, { timezone });
    } catch (error) {
      throw badPattern(pattern, error instanceof Error ? error.message : String(error));
    }
    if (this.#cron.nextRun(new Date(0)) === null) throw badPattern(pattern, 'there is no such instant');
  }

  /** The first instant after this one; `undefined` if none will ever come. */
  next(afterMs: number): number | undefined {
    if (this.#known?.afterMs === afterMs) return this.#known.next;
    const next = this.#cron.nextRun(new Date(afterMs))?.getTime();
    this.#known = { afterMs, next };
    return next;
  }

  /** The instants after the one and up to the other. */
  due(afterMs: number, untilMs: number): Due {
    const first = this.next(afterMs);
    if (first === undefined || first > untilMs) return NONE;
    const counted = this.#from(first, untilMs);
    /* More than were counted: the newest are looked for from behind. croner's two directions agree; cadence.test.ts checks it. */
    const tail = counted.length <= COUNTED ? counted : this.#upTo(untilMs);
    const newest = tail.slice(-NEWEST);
    const toMs = tail.at(-NEWEST - 1);
    if (toMs === undefined) return { newest, earlier: undefined };
    return { newest, earlier: { fromMs: first, toMs, count: counted.length - newest.length } };
  }

  #from(first: number, untilMs: number): readonly number[] {
    const instants: number[] = [];
    for (let at: number | undefined = first; at !== undefined && at <= untilMs && instants.length <= COUNTED;) {
      instants.push(at);
      at = this.#cron.nextRun(new Date(at))?.getTime();
    }
    return instants;
  }

  #upTo(untilMs: number): readonly number[] {
    return this.#cron
      .previousRuns(NEWEST + 1, new Date(untilMs + 1))
      .map((at) => at.getTime())
      .toReversed();
  }
}

function expectPattern(pattern: string): string {
  expectText('the pattern of a schedule', pattern);
  if (pattern.includes('?')) {
    throw badPattern(
      pattern,
      '"?" stands for the time at which a process starts, which is another one in each process',
    );
  }
  if (pattern.includes(':')) throw badPattern(pattern, 'a date happens once, and a schedule goes on');
  return pattern;
}

function expectTimezone(timezone: string): string {
  expectText('timezone', timezone);
  try {
    /* It throws for what it does not know. */
    Intl.DateTimeFormat('en-US', { timeZone: timezone });
    if (/^[+-]/.test(timezone)) throw new RangeError('an offset is no time zone');
    return timezone;
  } catch (error) {
    throw new TypeError(`Expected timezone to be an IANA time zone such as "Europe/Berlin", got ${show(timezone)}`, {
      cause: error,
    });
  }
}

function badPattern(pattern: string, why: string): TypeError {
  return new TypeError(
    `Expected the pattern of a schedule to be a cron pattern such as "0 3 * * *" (minute, hour, day, month, weekday; seconds may ` +
      `come first), got ${show(pattern)}: ${why}`,
  );
}
