/**
 * Rendezvous hashing (Thaler and Ravishankar, 1998): everybody who knows the same members comes to the same order of them for a key,
 * without asking anybody. One member less moves only what that one had, each key to the next in its order; one more takes its share, and
 * nothing else moves.
 */
import { hash } from 'node:crypto';

/** How much a member weighs for a key: the heaviest has it. The first 64 bits of a SHA-256, so that it is the same in every process. */
function weightOf(key: string, member: string): bigint {
  /* With the length of the key, so that no two pairs are one text. */
  return hash('sha256', `${key.length}:${key}${member}`, 'buffer').readBigUInt64BE(0);
}

/** How much a member weighs for the keys 0 to `count` - 1. A SHA-512 is enough for eight of them. */
export function weightsOf(member: string, count: number): BigUint64Array {
  const weights = new BigUint64Array(count);
  let digest = Buffer.alloc(0);
  for (let key = 0; key < count; key += 1) {
    if (key % 8 === 0) digest = hash('sha512', `${key / 8}:${member}`, 'buffer');
    weights[key] = digest.readBigUInt64BE((key % 8) * 8);
  }
  return weights;
}

/** The members in the order in which they have a key. */
export function rendezvousOrder(key: string, members: readonly string[]): readonly string[] {
  return members
    .map((member) => ({ member, weight: weightOf(key, member) }))
    .toSorted((a, b) => (isHeavier(a.member, a.weight, b.member, b.weight) ? -1 : 1))
    .map(({ member }) => member);
}

/** Of two that weigh the same, the one whose name comes first. */
export function isHeavier(member: string, weight: bigint, other: string, otherWeight: bigint): boolean {
  return weight > otherWeight || (weight === otherWeight && member < other);
}
