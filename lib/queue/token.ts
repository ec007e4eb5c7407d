/**
 * The fencing token: one positive signed 64-bit integer, so that it fits a BIGINT column and compares as a number.
 *
 *     | 0 | epoch (8 bits) | revision (43 bits) | handoff (12 bits) |
 *
 * `revision` is the create revision of the holder's key in etcd, which orders holders over all processes. `handoff` orders the
 * holders that passed one key on inside a process. `epoch` is raised by the operator when the cluster is restored from a snapshot,
 * since revisions then go back. See docs/adr/0001-token-layout.md.
 */
import { expectWholeNumber, show } from '../arguments.ts';
import { withDecimals } from '../runtime/decimals.ts';

const HANDOFF_BITS = 12n;
const REVISION_BITS = 43n;
const EPOCH_BITS = 8n;

/** How often a key can be passed on: then its holders cannot be told apart by their tokens any more. */
export const MAX_HANDOFF: number = 2 ** Number(HANDOFF_BITS) - 1;
const MAX_EPOCH: number = 2 ** Number(EPOCH_BITS) - 1;
const MAX_REVISION: bigint = (1n << REVISION_BITS) - 1n;
const MAX_TOKEN = (1n << (EPOCH_BITS + REVISION_BITS + HANDOFF_BITS)) - 1n;

/** What a fencing token is made of, from the highest bits to the lowest. See docs/adr/0001-token-layout.md. */
export interface TokenParts {
  /** 0–255: how often the operator raised the epoch, 0 if never. */
  readonly epoch: number;
  /** etcd's create revision of the holder's key. */
  readonly revision: bigint;
  /** 0–4,095: how often the key had been passed on inside its process. */
  readonly handoff: number;
}

/** Packs the parts. Throws a RangeError for a part that does not fit: a token is never cut silently. */
export function packToken({ epoch, revision, handoff }: TokenParts): bigint {
  expectWholeNumber('epoch', epoch, 0, MAX_EPOCH);
  expectWholeNumber('handoff', handoff, 0, MAX_HANDOFF);
  if (revision < 1n || revision > MAX_REVISION) {
    throw new RangeError(`Expected a revision between 1 and ${MAX_REVISION}, got ${revision}`);
  }
  return (((BigInt(epoch) << REVISION_BITS) | revision) << HANDOFF_BITS) | BigInt(handoff);
}

/** The parts of a token. Throws a TypeError for what is no token. */
export function unpackToken(token: bigint): TokenParts {
  expectToken(token);
  return withDecimals({
    epoch: Number(token >> (REVISION_BITS + HANDOFF_BITS)),
    revision: (token >> HANDOFF_BITS) & MAX_REVISION,
    handoff: Number(token & BigInt(MAX_HANDOFF)),
  });
}

/** Reads a token from its decimal text, as `toString()` and `toJSON()` write it. Throws a TypeError for anything else. */
export function parseToken(text: string): bigint {
  if (typeof text !== 'string' || !/^[1-9][0-9]{0,18}$/.test(text)) {
    throw new TypeError(`Expected a token as decimal text such as "8796093030400", got ${show(text)}`);
  }
  const token = BigInt(text);
  expectToken(token);
  return token;
}

/**
 * Throws a TypeError unless `token` is a bigint that can be a token. A number is refused even if it is whole: above 2^53 it may
 * already have been rounded, and a rounded token fences nothing.
 */
export function expectToken(token: unknown): asserts token is bigint {
  if (typeof token !== 'bigint' || token < 1n || token > MAX_TOKEN) {
    throw new TypeError(
      `Expected a fencing token, a bigint between 1 and ${MAX_TOKEN}, got ${show(token)}. parseToken(text) reads one from text.`,
    );
  }
}
