import { randomFillSync } from 'node:crypto';

/** Chance, injected: the simulation replays it from a seed. */
export interface Random {
  /** A number in [0, 1), for jitter. */
  uniform(): number;
  /** 64 bits that no other process will choose: for lease IDs, nonces and operation IDs. */
  bits64(): bigint;
}

/** A page from the system at a time: asking it for each number would be a good part of an acquire. */
const page = Buffer.alloc(4_096);
let used = page.length;

export const systemRandom: Random = {
  uniform: () => Math.random(),
  bits64: () => {
    if (used === page.length) {
      randomFillSync(page);
      used = 0;
    }
    used += 8;
    return page.readBigUInt64BE(used - 8);
  },
};

/** The same items in an order that was drawn: Fisher and Yates. */
export function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  const rest = [...items];
  const order: T[] = [];
  while (rest.length > 0) order.push(...rest.splice(Math.floor(random.uniform() * rest.length), 1));
  return order;
}
