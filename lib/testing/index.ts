/** For tests of the caller's own code: faults of the network, on purpose. */
export { FaultProxy } from './fault-proxy.ts';
