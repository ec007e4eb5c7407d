/** npm redlock on one Redis. It waits by asking again. Without its own patience: the default gives up after ten times. */
import { Redis } from 'ioredis';
import Redlock from 'redlock';
import { peerArguments, serve } from './peer.ts';

const { endpoint, ttlMs } = peerArguments();
const redis = new Redis(endpoint);
/* Its defaults are 200 ms with a jitter of 100, and ten attempts. */
const redlock = new Redlock([redis], { retryCount: -1, retryDelay: 10, retryJitter: 10 });

const caller = {
  acquire: async (name: string) => {
    const lock = await redlock.lock(name, ttlMs);
    return async () => lock.unlock();
  },
};

await redis.ping();
await serve({ caller: async () => caller, close: () => redis.quit() });
