import { hash } from 'node:crypto';
import type { Member } from '../registry/member.ts';
import { isHeavier, weightsOf } from '../registry/rendezvous.ts';

/** In a member's metadata: how many partitions it counts. */
export const COUNT = 'count';

/** In a member's metadata: it is on its way out, gives away what it has, and is given nothing. */
export const LEAVING = 'leaving';

/** Which partitions fall to whom, by rendezvous hashing. */
export class Assignment {
  readonly #count: number;
  /** By address: how much a member weighs for each partition. Looked up whenever members change, and hashed once. */
  readonly #weights = new Map<string, BigUint64Array>();

  constructor(count: number) {
    this.#count = count;
  }

  /**
   * The partitions that fall to `address` among these members; none while it is not among them, or on its way out. Who counts otherwise is
   * given nothing: it will be refused, and nobody's work is to be stopped for it.
   */
  of(address: string, members: readonly Member[]): ReadonlySet<number> {
    const isStaying = ({ metadata }: Member): boolean =>
      metadata[LEAVING] === undefined && metadata[COUNT] === String(this.#count);
    const staying = new Set(members.filter(isStaying).map((member) => member.address));
    for (const known of this.#weights.keys()) if (!staying.has(known)) this.#weights.delete(known);
    const assigned = new Set<number>();
    if (!staying.has(address)) return assigned;
    const own = this.#weightsOf(address);
    staying.delete(address);
    const others = [...staying].map((other) => ({ other, weights: this.#weightsOf(other) }));
    for (const [partition, weight] of own.entries()) {
      const isOwn = others.every(({ other, weights }) => isHeavier(address, weight, other, weights[partition] ?? 0n));
      if (isOwn) assigned.add(partition);
    }
    return assigned;
  }

  #weightsOf(address: string): BigUint64Array {
    let weights = this.#weights.get(address);
    if (weights === undefined) {
      weights = weightsOf(address, this.#count);
      this.#weights.set(address, weights);
    }
    return weights;
  }
}

/** A member that was there before `address` and counts otherwise; `undefined` if all that were agree. */
export function dissenter(address: string, members: readonly Member[], count: number): Member | undefined {
  const own = members.find((member) => member.address === address);
  if (own === undefined) return undefined;
  return members.find(({ metadata, revision }) => metadata[COUNT] !== String(count) && revision < own.revision);
}

/** The partition of a key: the first 48 bits of its SHA-256, modulo the count. The same in every process and language. */
export function partitionOf(key: string, count: number): number {
  return hash('sha256', key, 'buffer').readUIntBE(0, 6) % count;
}
