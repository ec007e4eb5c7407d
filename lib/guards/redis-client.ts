import { show } from '../arguments.ts';

// What the guard needs of a Redis client, by shape: this package depends on none.

/** A client or a cluster client of ioredis. */
export interface IoredisClient {
  eval(script: string, keyCount: number, ...keysAndArgs: string[]): Promise<unknown>;
  evalsha(...args: never[]): unknown;
}

/** A client, a pool or a cluster client of node-redis (`redis` or `@redis/client`), version 4 or later. */
export interface NodeRedisClient {
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  evalSha(...args: never[]): unknown;
}

/** Either package's client, told apart by its methods. */
export type RedisClient = IoredisClient | NodeRedisClient;

export type Evaluate = (script: string, keys: readonly string[], args: readonly string[]) => Promise<unknown>;

/**
 * How to send a script through this client. The two take different arguments for EVAL and know each other's form by no error: what
 * tells them apart is how they spell EVALSHA. Throws a TypeError for what is neither, and for a pipeline or a MULTI, which would
 * answer long after the guard had to decide.
 */
export function evaluatorOf(redis: RedisClient): Evaluate {
  if (!isObject(redis) || typeof redis.eval !== 'function') throw notAClient(redis);
  if (Reflect.get(redis, 'isPipeline') === true || 'execAsPipeline' in redis) {
    throw new TypeError(
      'Expected redis to be a client, got a pipeline or a MULTI: use run() for several commands at once',
    );
  }
  if (isNodeRedis(redis)) {
    return (script, keys, args) => promised(redis.eval(script, { keys: [...keys], arguments: [...args] }));
  }
  if (typeof redis.evalsha !== 'function') throw notAClient(redis);
  return (script, keys, args) => promised(redis.eval(script, keys.length, ...keys, ...args));
}

/** Redis answered and refused: nothing after the error was done. Anything else that goes wrong is a lost answer. */
export function isReply(error: unknown): boolean {
  // By name, since the classes belong to packages that are not ours: ioredis throws ReplyError, node-redis what extends ErrorReply.
  for (let type: unknown = error; type instanceof Error; type = Object.getPrototypeOf(type)) {
    if (type.constructor.name === 'ReplyError' || type.constructor.name === 'ErrorReply') return true;
  }
  return false;
}

/** The client says that it did not even send: closed, or offline and told not to queue. */
export function isUnsent(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (
    /^(ClientClosedError|ClientOfflineError)$/.test(error.constructor.name) || /enableOfflineQueue/.test(error.message)
  );
}

const closings = new WeakMap<object, { count: number }>();

/** What ioredis calls the states in which it has no connection to send over. Another client may not tell. */
const UNREADY = new Set(['wait', 'connecting', 'connect', 'close', 'reconnecting', 'end']);

/**
 * How often a connection over which this client sent was closed so far, as far as it tells. ioredis sends a command again when it was not
 * answered before that (`autoResendUnfulfilledCommands`), and then the answer is not that of the first time. It tells that it has closed
 * a connection that was never made, too: nothing was sent over that.
 */
export function closingsOf(redis: RedisClient): number {
  let counted = closings.get(redis);
  if (counted === undefined) {
    const counter = { count: 0 };
    if (!isNodeRedis(redis) && 'on' in redis && typeof redis.on === 'function') {
      let isReady = !UNREADY.has(String(Reflect.get(redis, 'status')));
      Reflect.apply(redis.on, redis, ['ready', () => (isReady = true)]);
      Reflect.apply(redis.on, redis, [
        'close',
        () => {
          if (isReady) counter.count += 1;
          isReady = false;
        },
      ]);
    }
    closings.set(redis, counter);
    counted = counter;
  }
  return counted.count;
}

function isNodeRedis(redis: RedisClient): redis is NodeRedisClient {
  return 'evalSha' in redis && typeof redis.evalSha === 'function';
}

function promised(reply: unknown): Promise<unknown> {
  if (isObject(reply) && 'then' in reply) return Promise.resolve(reply);
  throw new TypeError('Expected redis.eval to return a promise, as ioredis and node-redis from version 4 do');
}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

function notAClient(redis: unknown): TypeError {
  return new TypeError(`Expected redis to be a client of ioredis or of node-redis from version 4, got ${show(redis)}`);
}
