import { expectGivenOptions, expectText, show } from '../arguments.ts';
import { withDecimals } from '../runtime/decimals.ts';

/** When something happened, by no clock: counts only go up along messages. */
export interface LamportStamp {
  /** From 0, below 2^63, so that it fits a BIGINT column. */
  readonly counter: bigint;
  /** Whose clock it was. Breaks ties, so that any two stamps of different events have an order. */
  readonly node: string;
}

/** As a counter of 63 bits it fits a BIGINT column. A peer that sends more is broken or means harm: it would stop everybody's clock. */
const MAX_COUNTER = 2n ** 63n - 1n;

/** Whose clock it is, and where it goes on. */
export interface LamportClockOptions {
  /** Unique among all nodes. */
  readonly node: string;
  /**
   * The greatest counter that this node has used before, from where it keeps it. A node that starts at 0 again stamps new events as older.
   * @default 0n
   */
  readonly counter?: bigint | undefined;
}

/**
 * Lamport's logical clock ("Time, Clocks, and the Ordering of Events in a Distributed System", 1978).
 *
 * Guarantee: what happened before something, along the messages whose stamps were received, has the smaller stamp.
 * Not guaranteed: the reverse. A smaller stamp may be of something that was independent, or later by the clock on the wall. To tell
 * independent from earlier takes a {@link VersionVector}; to decide who may write, a fencing token.
 */
export class LamportClock {
  /** Whose clock it is. */
  readonly node: string;
  #counter: bigint;

  /** Throws a TypeError or RangeError for a node or counter that is none. */
  constructor(options: LamportClockOptions) {
    expectGivenOptions('LamportClock', options, ['node', 'counter']);
    const { node, counter = 0n } = options;
    this.node = expectText('node', node);
    this.#counter = expectCounter('counter', counter);
  }

  /** The stamp of the last event. Keep its counter where it outlives the process. */
  get latest(): LamportStamp {
    return withDecimals({ counter: this.#counter, node: this.node });
  }

  /** Something happens here, such as a message that is sent: its stamp. */
  tick(): LamportStamp {
    this.#counter = expectCounter('the next counter', this.#counter + 1n);
    return this.latest;
  }

  /** A message with this stamp has come. Gives the stamp of its coming. Throws a TypeError or RangeError, and leaves the clock, for what is no stamp. */
  receive(stamp: LamportStamp): LamportStamp {
    const counter = expectCounter('counter', stamp.counter);
    if (counter > this.#counter) {
      expectCounter('the next counter', counter + 1n);
      this.#counter = counter;
    }
    return this.tick();
  }

  /** The total order: negative if `one` comes before `other`, 0 for the same stamp. The same on every node, for `sort`. */
  static compare(this: void, one: LamportStamp, other: LamportStamp): number {
    if (one.counter !== other.counter) return one.counter < other.counter ? -1 : 1;
    if (one.node === other.node) return 0;
    return one.node < other.node ? -1 : 1;
  }

  /** Reads a stamp from what `JSON.parse` gives of one. Throws a TypeError or RangeError for anything else. */
  static parse(this: void, json: unknown): LamportStamp {
    const { counter, node } = (typeof json === 'object' && json !== null ? json : {}) as Record<string, unknown>;
    if (typeof node !== 'string' || node === '') throw new TypeError(`Expected a stamp with a node, got ${show(json)}`);
    return withDecimals({ counter: parseCounter('counter', counter), node });
  }
}

/** Throws a TypeError for what is no bigint, a RangeError for what does not fit. */
export function expectCounter(what: string, value: unknown): bigint {
  if (typeof value !== 'bigint') throw new TypeError(`Expected ${what} to be a bigint, got ${show(value)}`);
  if (value < 0n || value > MAX_COUNTER) {
    throw new RangeError(`Expected ${what} to be from 0 to ${MAX_COUNTER}, got ${value}`);
  }
  return value;
}

export function parseCounter(what: string, text: unknown): bigint {
  if (typeof text !== 'string' || !/^(?:0|[1-9][0-9]{0,18})$/.test(text)) {
    throw new TypeError(`Expected ${what} to be decimal text, got ${show(text)}`);
  }
  return expectCounter(what, BigInt(text));
}
