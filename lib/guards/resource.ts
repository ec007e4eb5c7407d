import { show } from '../arguments.ts';

/** UTF-8 bytes. PostgreSQL cannot index a text of more than about 2,700, and no name of a resource needs it. */
export const MAX_RESOURCE_BYTES = 1_024;

/**
 * Checks the name of a resource, the same for every guard, so that a name that works with one works with all. A NUL has no place in
 * PostgreSQL's text, and lone surrogates would all be written as the same replacement character: two resources would share a fence.
 */
export function expectResource(resource: string, option = 'resource'): void {
  if (!isResource(resource)) {
    throw new TypeError(
      `Expected ${option} to be text of 1 to ${MAX_RESOURCE_BYTES} bytes in UTF-8, without NUL and lone surrogates, got ${show(resource)}`,
    );
  }
}

export function isResource(resource: unknown): resource is string {
  const isName = typeof resource === 'string' && resource !== '' && !/\0|\p{Surrogate}/u.test(resource);
  return isName && Buffer.byteLength(resource) <= MAX_RESOURCE_BYTES;
}
