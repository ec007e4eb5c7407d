/**
 * For tests of the caller's own code: an etcd that needs no installation, faults of the network on purpose, and a world in virtual time.
 *
 * @packageDocumentation
 */

export type { Logger, LogFields } from '../runtime/logger.ts';
export { startEmbeddedEtcd, type EmbeddedEtcd, type EmbeddedEtcdOptions } from './embedded/embedded-etcd.ts';
export { FaultProxy } from './fault-proxy.ts';
export { TestWorld, type TestProcess, type TestWorldOptions } from './test-world.ts';
