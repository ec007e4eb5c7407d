import type { Random } from '../runtime/random.ts';

/**
 * Chance from a seed: the same seed gives the same numbers on every machine. xoshiro128**, its state filled by splitmix32
 * (Blackman and Vigna, "Scrambled linear pseudorandom number generators"). Not for secrets.
 */
export class SeededRandom implements Random {
  readonly seed: number;
  readonly #state: Uint32Array = new Uint32Array(4);

  /** `seed`: an unsigned integer of 32 bits. */
  constructor(seed: number) {
    if (!Number.isInteger(seed) || seed < 0 || seed > 0xffff_ffff) {
      throw new RangeError(`Expected a seed between 0 and 4294967295, got ${seed}`);
    }
    this.seed = seed;
    let counter = seed;
    for (let index = 0; index < 4; index += 1) {
      counter = (counter + 0x9e37_79b9) | 0;
      this.#state[index] = mix(counter);
    }
  }

  uniform(): number {
    // 53 bits, as many as a double holds.
    return ((this.#next() >>> 5) * 0x400_0000 + (this.#next() >>> 6)) / 2 ** 53;
  }

  bits64(): bigint {
    return (BigInt(this.#next()) << 32n) | BigInt(this.#next());
  }

  /** An integer from `from` to `to`, both included. */
  integer(from: number, to: number): number {
    return from + Math.floor(this.uniform() * (to - from + 1));
  }

  /** True in this share of the calls. */
  chance(share: number): boolean {
    return this.uniform() < share;
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('Expected something to pick from, got an empty list');
    return items[this.integer(0, items.length - 1)] as T;
  }

  /** A source of its own, so that what one part draws does not shift what the others get. */
  fork(): SeededRandom {
    return new SeededRandom(this.#next());
  }

  #next(): number {
    const state = this.#state as unknown as [number, number, number, number];
    const result = Math.imul(rotateLeft(Math.imul(state[1], 5), 7), 9) >>> 0;
    const shifted = state[1] << 9;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotateLeft(state[3], 11);
    return result;
  }
}

function mix(counter: number): number {
  let bits = counter;
  bits = Math.imul(bits ^ (bits >>> 16), 0x21f0_aaad);
  bits = Math.imul(bits ^ (bits >>> 15), 0x735a_2d97);
  return bits ^ (bits >>> 15);
}

function rotateLeft(bits: number, by: number): number {
  return (bits << by) | (bits >>> (32 - by));
}
