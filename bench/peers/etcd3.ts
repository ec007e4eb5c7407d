/**
 * npm etcd3: its lock, which does not wait, so that waiting is asking again; its election; and, as the limit of what a Node client with
 * @grpc/grpc-js can do, one transaction that does nothing but write.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Etcd3, EtcdLockFailedError } from 'etcd3';
import { peerArguments, serve, type Release } from './peer.ts';

const { endpoint, ttlMs, kind } = peerArguments();
const client = new Etcd3({ hosts: endpoint });
const ttl = ttlMs / 1_000;

/** Doubles from the first to the last, with full jitter. */
const POLL_MS = { first: 5, last: 100 };

const kinds: Readonly<Record<string, (name: string, signal: AbortSignal) => Promise<Release>>> = {
  lock: async (name, signal) => {
    for (let attempt = 0; ; attempt += 1) {
      try {
        const lock = await client.lock(name).ttl(ttl).acquire();
        return () => lock.release();
      } catch (error) {
        if (!(error instanceof EtcdLockFailedError)) throw error;
      }
      signal.throwIfAborted();
      await sleep(Math.random() * Math.min(POLL_MS.last, POLL_MS.first * 2 ** attempt));
    }
  },
  election: async (name, signal) => {
    const campaign = client.election(name, ttl).campaign('');
    /* It also emits the failure of what it does once it has resigned. */
    campaign.on('error', () => undefined);
    try {
      await once(campaign, 'elected', { signal });
    } catch (error) {
      await campaign.resign().catch(() => undefined);
      throw error;
    }
    return () => campaign.resign();
  },
  transaction: async (name) => {
    const key = Buffer.from(`raw/${name}`);
    await client.kv.txn({ compare: [], success: [{ request_put: { key, value: Buffer.from('x') } }], failure: [] });
    return async () => undefined;
  },
};

const acquire = kinds[kind];
if (acquire === undefined) throw new Error(`Expected one of ${Object.keys(kinds).join(', ')}, got ${kind}`);
/* The first call connects. */
await client.get('bench').string();
await serve({ caller: async () => ({ acquire }), close: () => client.close() });
