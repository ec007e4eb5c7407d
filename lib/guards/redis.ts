/**
 * A guard in Redis: the greatest token seen stands under a key of its own beside the value, and one script checks and writes.
 *
 * Guarantees, as long as Redis forgets nothing
 * - Per resource, accepted tokens never decrease, and what is written through the guard was written under the greatest seen.
 * - `get` raises the token before it reads: after it, an older holder can write no more. Call it before a read-modify-write.
 * - Keys of one resource share a hash tag, so that they live on one node of a Redis Cluster.
 *
 * Not guaranteed
 * - A Redis that forgets. A fence is as durable as the server: with `appendfsync everysec` a crash loses about a second, without
 *   persistence a restart loses all, and an evicted or flushed fence is lost, too (use `noeviction` or a `volatile-*` policy: fences
 *   have no expiry). Replication is asynchronous: a failover may bring back a replica that has not heard of the greatest token, and
 *   accepts the older holder. WAIT narrows that and does not close it. Where this must not happen, use PostgreSQL or etcd itself.
 * - Writers that do not use the guard.
 * - That nothing was written when a script given to `run` fails half way: Redis does not roll back.
 *
 * @packageDocumentation
 */

import { expectDuration, expectOptions, expectSignal, expectText, expectWholeNumber, show } from '../arguments.ts';
import { expectToken } from '../queue/token.ts';
import { systemClock } from '../runtime/clock.ts';
import { closingsOf, evaluatorOf, type IoredisClient, type NodeRedisClient, type RedisClient } from './redis-client.ts';
import { callScript, checkedScript, CHECK_SCRIPT, GET_SCRIPT, onceScript, SET_SCRIPT, text } from './redis-script.ts';
import { expectResource } from './resource.ts';

export type { IoredisClient, NodeRedisClient, RedisClient };

/** Where the fences are, and how long a call may take. */
export interface RedisGuardOptions {
  /**
   * The beginning of every key of the guard. Guards with the same prefix share their fences.
   * @default 'holdfast:'
   */
  readonly prefix?: string | undefined;
  /**
   * Milliseconds within which a call settles. The client may still send what it has queued.
   * @default 2_000
   */
  readonly timeoutMs?: number | undefined;
}

/** Of a call that has nothing else to be told. */
export interface RedisCallOptions {
  /** Ends the waiting: `signal.reason` if nothing was sent, else OutcomeUnknownError. */
  readonly signal?: AbortSignal | undefined;
}

/** What a script is given, and how often it may run. */
export interface RedisRunOptions extends RedisCallOptions {
  /** What the script finds as KEYS. In a cluster each has to contain the hash tag of {@link RedisGuard.keys}. */
  readonly keys?: readonly string[] | undefined;
  /** What the script finds as ARGV. */
  readonly args?: readonly string[] | undefined;
  /**
   * A name of this piece of work on this resource, of 1 to 1,024 bytes, the same for each attempt at it. It is written down by the same
   * script, with what that returns: who comes with it again within `keepMs` gets that, and the script does not run again. So an
   * OutcomeUnknownError can be answered by another attempt.
   * @default the script runs each time
   */
  readonly idempotencyKey?: string | undefined;
  /**
   * For how long that is remembered, in milliseconds. Longer than anybody would repeat anything.
   * @default 86_400_000, a day
   */
  readonly keepMs?: number | undefined;
}

/**
 * Each call is one EVAL. It rejects with a StaleTokenError for a token smaller than the greatest seen; with an OutcomeUnknownError if
 * it was sent and not answered, since every call writes, if only the token; with the client's own error if Redis refused or the
 * client did not send. A TypeError or RangeError comes before anything is sent.
 */
export interface RedisGuard {
  /** Raises the greatest token seen. */
  check(resource: string, token: bigint, options?: RedisCallOptions): Promise<void>;
  /** Raises the greatest token seen, then reads. `undefined` if there is no value. */
  get(resource: string, token: bigint, options?: RedisCallOptions): Promise<string | undefined>;
  /** Checks and writes in one script. The value does not expire. */
  set(resource: string, value: string, token: bigint, options?: RedisCallOptions): Promise<void>;
  /**
   * Checks, then runs a Lua script of the caller's, and gives what it returns. Redis caches each text of a script: keep it constant
   * and pass what varies as `args`.
   */
  run(resource: string, token: bigint, script: string, options?: RedisRunOptions): Promise<unknown>;
  /** The keys of a resource. Others may read the value, and must write neither. */
  keys(resource: string): { readonly fence: string; readonly value: string };
}

const DAY_MS = 86_400_000;

/** A guard on a client that is connected, or will be. No I/O. Throws a TypeError or RangeError for wrong options and for what is no client. */
export function redisGuard(redis: RedisClient, options: RedisGuardOptions = {}): RedisGuard {
  const evaluate = evaluatorOf(redis);
  expectOptions('redisGuard', options, ['prefix', 'timeoutMs']);
  const { prefix = 'holdfast:', timeoutMs = 2_000 } = options;
  if (typeof prefix !== 'string') throw new TypeError(`Expected prefix to be text, got ${show(prefix)}`);
  expectDuration('timeoutMs', timeoutMs, 1);

  const keysOf = (resource: string): { readonly fence: string; readonly value: string } => {
    expectResource(resource);
    // Braces of the resource's own would move the hash tag's end.
    const name = `${prefix}{${resource.replaceAll(/[%{}]/g, encodeURIComponent)}}`;
    return { fence: `${name}:fence`, value: `${name}:value` };
  };

  const call = async (
    resource: string,
    token: bigint,
    script: string,
    {
      keys,
      args = [],
      signal,
      writes,
    }: { keys: readonly string[]; args?: readonly string[]; signal: AbortSignal | undefined; writes: boolean },
  ): Promise<unknown> => {
    expectToken(token);
    expectSignal(signal);
    const closingsBefore = closingsOf(redis);
    const wasRepeated = (): boolean => writes && closingsOf(redis) !== closingsBefore;
    return await callScript(systemClock, evaluate, {
      script,
      resource,
      token,
      keys,
      args,
      signal,
      timeoutMs,
      wasRepeated,
    });
  };

  return {
    keys: keysOf,

    async check(resource, token, { signal } = {}) {
      const { fence } = keysOf(resource);
      await call(resource, token, CHECK_SCRIPT, { keys: [fence], signal, writes: false });
    },

    async get(resource, token, { signal } = {}) {
      const { fence, value } = keysOf(resource);
      const found = await call(resource, token, GET_SCRIPT, { keys: [fence, value], signal, writes: false });
      return found === null || found === undefined ? undefined : text(found);
    },

    async set(resource, value, token, { signal } = {}) {
      const keys = keysOf(resource);
      if (typeof value !== 'string') throw new TypeError(`Expected value to be text, got ${show(value)}`);
      await call(resource, token, SET_SCRIPT, { keys: [keys.fence, keys.value], args: [value], signal, writes: true });
    },

    async run(resource, token, script, options = {}) {
      const { fence } = keysOf(resource);
      expectText('script', script);
      expectOptions('run', options, ['keys', 'args', 'idempotencyKey', 'keepMs', 'signal']);
      const { keys = [], args = [], idempotencyKey, keepMs = DAY_MS, signal } = options;
      expectTexts('keys', keys);
      expectTexts('args', args);
      expectWholeNumber('keepMs', keepMs, 1, Number.MAX_SAFE_INTEGER);
      const plain = { keys: [fence, ...keys], args, signal, writes: true };
      if (idempotencyKey === undefined) return (await call(resource, token, checkedScript(script), plain)) ?? undefined;
      expectResource(idempotencyKey, 'idempotencyKey');
      const done = `${fence.slice(0, -'fence'.length)}done:${idempotencyKey}`;
      const once = { ...plain, keys: [fence, done, ...keys], args: [String(keepMs), ...args] };
      return (await call(resource, token, onceScript(script), once)) ?? undefined;
    },
  };
}

function expectTexts(option: string, texts: readonly string[]): void {
  if (!Array.isArray(texts) || texts.some((item) => typeof item !== 'string')) {
    throw new TypeError(
      `Expected ${option} to be an array of texts, got ${Array.isArray(texts) ? 'another array' : show(texts)}`,
    );
  }
}
