/**
 * A guard in the memory of one process.
 *
 * Guarantee: per resource, accepted tokens never decrease for as long as this guard lives.
 * Not guaranteed: anything beyond its process or its life. It forgets with its process, and a second process has a second memory.
 * It fits a resource that lives and dies with the process too, such as a device, a socket or a file of its own, and tests.
 *
 * @packageDocumentation
 */

import { expectOptions, expectWholeNumber } from '../arguments.ts';
import { LimitExceededError, StaleTokenError } from '../errors.ts';
import { expectToken } from '../queue/token.ts';
import { expectResource } from './resource.ts';

/** How much a guard remembers. */
export interface MemoryGuardOptions {
  /**
   * How many resources are remembered, about 150 bytes each. A guard that forgot one to make room would accept its stale tokens,
   * so the next one is refused instead.
   * @default 1_000_000
   */
  readonly maxResources?: number | undefined;
}

/** The greatest token seen of each resource, in memory. */
export interface MemoryGuard {
  /**
   * Accepts a token that is equal to the greatest one seen for the resource, or greater, and remembers it. Call it before the first
   * read of a read-modify-write, and again before each write. Throws a StaleTokenError for a smaller one, a TypeError for what is no
   * token or no name, a LimitExceededError for one resource too many.
   */
  check(resource: string, token: bigint): void;
}

/** A guard that has seen nothing yet. Throws a TypeError or RangeError for wrong options. */
export function memoryGuard(options: MemoryGuardOptions = {}): MemoryGuard {
  expectOptions('memoryGuard', options, ['maxResources']);
  const { maxResources = 1_000_000 } = options;
  expectWholeNumber('maxResources', maxResources, 1, 2 ** 24);
  const highestTokens = new Map<string, bigint>();

  return {
    check(resource, token) {
      expectResource(resource);
      expectToken(token);
      const highest = highestTokens.get(resource);
      if (highest !== undefined && token < highest) throw new StaleTokenError({ resource, token, highest });
      if (highest === undefined && highestTokens.size >= maxResources) {
        throw new LimitExceededError(
          `This guard remembers ${maxResources} resources and cannot take ${JSON.stringify(resource)} without forgetting one. Raise maxResources.`,
        );
      }
      highestTokens.set(resource, token);
    },
  };
}
