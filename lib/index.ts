/**
 * Coordination over etcd: fenced locks, elections, schedules, partitions and a registry on one lease a process, config and cached reads from memory, and
 * a defined behaviour for when etcd is away. It all begins with `createCoordinator`.
 *
 * @packageDocumentation
 */

export type { Cache, CacheChange, CacheStats, ReadOptions, ReadyOptions, WriteOptions } from './cache/cache.ts';
export type { CacheOptions, OnDemandCacheOptions, PrefixCacheOptions } from './cache/cache-options.ts';
export type { CachedEntry } from './cache/cached-entry.ts';
export { LamportClock, type LamportClockOptions, type LamportStamp } from './causality/lamport-clock.ts';
export { VersionVector, type Causality } from './causality/version-vector.ts';
export type { Config, ConfigWriteOptions } from './config/config.ts';
export type { ConfigEntry, ConfigSource } from './config/config-entry.ts';
export type { ConfigOptions } from './config/config-options.ts';
export type { ConfigVersion } from './config/config-writer.ts';
export type { RolloutReport } from './config/rollout.ts';
export type { Json, SchemaIssue, SchemaResult, StandardSchema } from './config/schema.ts';
export type { DeepReadonly } from './config/value.ts';
export { createCoordinator, type Coordinator, type SessionStatus } from './coordinator.ts';
export type {
  CoordinatorOptions,
  DiscoverySettings,
  Pem,
  RequestSettings,
  SessionSettings,
} from './coordinator-options.ts';
export type { CampaignOptions, Election, LeadOptions, Standing } from './election/election.ts';
export type { Leader } from './election/leader.ts';
export type { Leadership } from './election/leadership.ts';
export { leaderReadiness, type ReadinessResponse } from './election/readiness.ts';
export {
  AccessDeniedError,
  CallRefusedError,
  ClosedError,
  ConfigInvalidError,
  CoordinationUnavailableError,
  HoldfastError,
  JobPausedError,
  LeadershipLostError,
  LimitExceededError,
  LockLostError,
  LockTimeoutError,
  NoMemberError,
  OutcomeUnknownError,
  PartitionCountError,
  PartitionMovedError,
  RevisionRegressedError,
  SelfDeadlockError,
  StaleTokenError,
  TooStaleError,
  VersionConflictError,
  WorkStuckError,
  type ErrorCode,
} from './errors.ts';
export type { HealthState, HealthStatus } from './health/health.ts';
export type { FencedLock, LockOptions } from './lock/fenced-lock.ts';
export type { HeldLock } from './lock/held-lock.ts';
export type { HeldLocks, LockSet } from './lock/lock-set.ts';
export type { AcquireOptions, CallSignal, Lockable } from './lock/lockable.ts';
export type { ReadWriteLock, SharedLock } from './lock/read-write-lock.ts';
export type { HeldPermit, Semaphore, SemaphoreOptions } from './lock/semaphore.ts';
export type { PartitionWork } from './partition/claim.ts';
export type { HeldPartition } from './partition/held-partition.ts';
export type { OwnOptions, PartitionsOptions } from './partition/partition-options.ts';
export type { Partitions, PartitionStanding } from './partition/partitions.ts';
export type { Holding } from './queue/holding.ts';
export type { OnceOptions } from './once/once-options.ts';
export type { Turn } from './once/turn.ts';
export type { SetEpochOptions } from './queue/epoch-setting.ts';
export type { Contender, Holder, QueueReport, SharedHolder, SharedReport } from './queue/inspect.ts';
export type { QueueKind } from './session/keyspace.ts';
export { parseToken, unpackToken, type TokenParts } from './queue/token.ts';
export type { Member } from './registry/member.ts';
export type { Membership } from './registry/membership.ts';
export type { Registration, RegistrationStatus } from './registry/registration.ts';
export type { RegisterOptions, RegistryOptions } from './registry/registry-options.ts';
export type { PickOptions, Registry, RegistryCallOptions } from './registry/registry.ts';
export type { Source, StalenessOptions } from './replica/staleness.ts';
export type { Verdict } from './resilience/verdict.ts';
export type { LogFields, Logger } from './runtime/logger.ts';
export type { JobControls, JobStatus } from './schedule/controls.ts';
export type { ScheduleOptions } from './schedule/job-options.ts';
export type { Job } from './schedule/job.ts';
export type { MissedPolicy } from './schedule/policy.ts';
export type { JobRecord, MissedRecord, RunRecord, Trigger } from './schedule/record.ts';
export type { JobReport } from './schedule/roster.ts';
export type { Tick, Work } from './schedule/tick.ts';
export type { Sequence } from './sequence/sequence.ts';
export type {
  Survey,
  SurveyedConfig,
  SurveyedJob,
  SurveyedQueue,
  SurveyedRegistry,
  SurveyedSession,
} from './survey/survey.ts';
