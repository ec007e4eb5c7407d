import { randomBytes } from 'node:crypto';

/** Chance, injected: the simulation replays it from a seed. */
export interface Random {
  /** A number in [0, 1), for jitter. */
  uniform(): number;
  /** 64 bits that no other process will choose: for lease IDs, nonces and operation IDs. */
  bits64(): bigint;
}

export const systemRandom: Random = {
  uniform: () => Math.random(),
  bits64: () => randomBytes(8).readBigUInt64BE(),
};
