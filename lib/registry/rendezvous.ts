import { createHash } from 'node:crypto';

/**
 * Rendezvous hashing (Thaler and Ravishankar, 1998): everybody who knows the same members comes to the same order of them for a key,
 * without asking anybody. One member less moves only what that one had, each key to the next in its order; one more takes its share, and
 * nothing else moves.
 */
export function rendezvousOrder(key: string, members: readonly string[]): readonly string[] {
  return members
    .map((member) => ({ member, weight: weightOf(key, member) }))
    .toSorted((a, b) => (a.weight === b.weight ? compare(a.member, b.member) : compare(b.weight, a.weight)))
    .map(({ member }) => member);
}

/** The first in that order; `undefined` if there is nobody. */
export function rendezvousOwner(key: string, members: readonly string[]): string | undefined {
  return rendezvousOrder(key, members)[0];
}

/** Hexadecimal digits of one length: their order is that of the numbers. With the length of the key, so that no two pairs are one text. */
function weightOf(key: string, member: string): string {
  return createHash('sha256').update(`${key.length}:${key}${member}`).digest('hex');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
