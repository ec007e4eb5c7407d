export type { Cache, CacheChange, CacheStats, ReadOptions, WriteOptions } from './cache/cache.ts';
export type { CacheOptions } from './cache/cache-options.ts';
export type { CachedEntry, Source } from './cache/cached-entry.ts';
export { createCoordinator, type Coordinator, type SessionStatus } from './coordinator.ts';
export type { CoordinatorOptions, Pem } from './coordinator-options.ts';
export {
  AccessDeniedError,
  ClosedError,
  ConfigInvalidError,
  CoordinationUnavailableError,
  HoldfastError,
  LeadershipLostError,
  LimitExceededError,
  LockLostError,
  LockTimeoutError,
  OutcomeUnknownError,
  RevisionRegressedError,
  SelfDeadlockError,
  StaleTokenError,
  TooStaleError,
  VersionConflictError,
  type ErrorCode,
} from './errors.ts';
export type { HealthState, HealthStatus } from './health/health.ts';
export type { AcquireOptions, CallSignal, FencedLock } from './lock/fenced-lock.ts';
export type { HeldLock } from './lock/held-lock.ts';
export type { HeldLocks, LockSet } from './lock/lock-set.ts';
export type { Contender, Holder, QueueReport } from './queue/inspect.ts';
export { parseToken, unpackToken, type TokenParts } from './queue/token.ts';
export type { LogFields, Logger } from './runtime/logger.ts';
