/** The part of redlock 4 that the benchmark uses; the package has no types of its own. */
declare module 'redlock' {
  import type { Redis } from 'ioredis';

  export interface Lock {
    unlock(): PromiseLike<void>;
  }

  export default class Redlock {
    constructor(
      clients: readonly Redis[],
      options: { readonly retryCount: number; readonly retryDelay: number; readonly retryJitter: number },
    );
    lock(resource: string, ttlMs: number): PromiseLike<Lock>;
  }
}
