import { createCoordinator } from '../../lib/index.ts';
import { peerArguments, serve } from './peer.ts';

const { endpoint, ttlMs, kind } = peerArguments();
const coordinator = createCoordinator({ endpoints: endpoint, namespace: `bench-${kind}`, session: { ttlMs } });
await coordinator.ready();

const caller = {
  acquire: async (name: string, signal: AbortSignal) => {
    const held = await coordinator.lock(name).acquire({ signal });
    return () => held.release();
  },
};

await serve({ caller: async () => caller, close: () => coordinator.close() });
