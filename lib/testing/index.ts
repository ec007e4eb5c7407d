/** For tests of the caller's own code: an etcd that needs no installation, and faults of the network, on purpose. */
export type { Logger, LogFields } from '../runtime/logger.ts';
export { startEmbeddedEtcd, type EmbeddedEtcd, type EmbeddedEtcdOptions } from './embedded/embedded-etcd.ts';
export { FaultProxy } from './fault-proxy.ts';
