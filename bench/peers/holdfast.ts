import { createCoordinator } from '../../lib/index.ts';
import { peerArguments, serve } from './peer.ts';

const { endpoint, ttlMs, kind } = peerArguments();
/* In strict order a key goes back to etcd after each tenure. */
const handoff = kind !== 'strict lock';
const coordinator = createCoordinator({
  endpoints: endpoint,
  namespace: `bench-${handoff ? 'lock' : 'strict'}`,
  session: { ttlMs },
});
await coordinator.ready();

const caller = {
  acquire: async (name: string, signal: AbortSignal) => {
    const held = await coordinator.lock(name, { handoff }).acquire({ signal });
    return () => held.release();
  },
};

await serve({ caller: async () => caller, close: () => coordinator.close() });
