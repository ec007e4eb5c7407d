/**
 * What this package tells whoever listens, over Node's diagnostics_channel: who listens needs no change here, and where nobody does it costs
 * a look at a boolean. Names and fields are stable; see docs/observability.md. Nothing here decides anything.
 */
import { channel, subscribe, unsubscribe, type Channel } from 'node:diagnostics_channel';
import type { Clock, Instant } from './clock.ts';
import { elapsedMs } from './clock.ts';

/** Somebody of this process has a queue: a lock, a permit, a leadership, a partition, a turn. */
export interface GrantedEvent {
  /** `lock`, `election`, `semaphore`, `rwlock`, `partition`, `schedule`, `once-turn`. */
  readonly kind: string;
  readonly name: string;
  readonly token: bigint;
  readonly waitedMs: number;
}

/** It has it no more. */
export interface EndedEvent extends Omit<GrantedEvent, 'waitedMs'> {
  readonly heldMs: number;
  /** Why it was lost; absent where it was released. */
  readonly loss?: string;
}

/** It was not to be had. */
export interface RefusedEvent {
  readonly kind: string;
  readonly name: string;
  readonly waitedMs: number;
  /** The code of the error: `LOCK_TIMEOUT` is contention, `UNAVAILABLE` an outage; `TAKEN` for a try; `ABORTED` by the caller. */
  readonly code: string;
}

export interface SessionEvent {
  readonly is: 'opened' | 'lost';
  readonly lease: string;
  readonly reason?: string;
}

export interface HealthEvent {
  readonly state: string;
  readonly before: string;
  readonly reason: string | undefined;
}

/** A unary call to etcd, with all of its repeats. */
export interface CallEvent {
  readonly method: string;
  readonly tookMs: number;
  /** What is known of it: `ok`, or how it failed. */
  readonly outcome: 'ok' | 'transient' | 'permanent' | 'unknown' | 'aborted';
}

/** A run of a scheduled job has ended. */
export interface RunEvent {
  readonly job: string;
  readonly state: string;
  readonly tookMs: number;
}

/** This process serves a version of a config, or has refused it. */
export interface ConfigEvent {
  readonly config: string;
  readonly version: number | undefined;
  readonly refused?: string;
}

/** A replica has lost its place in history and lists again. */
export interface ResyncEvent {
  readonly span: string;
  readonly reason: string;
}

/** Something that ought to move does not. */
export interface StuckEvent {
  readonly kind: string;
  readonly name: string;
  /**
   * `held-long`: somebody has it, and we have waited for long; `zombie`: a key whose session is gone stands before us; `work`: work of
   * this process goes on although what it ran under was lost.
   */
  readonly is: 'held-long' | 'zombie' | 'work';
  /** How long it has been waited for, or since the loss. */
  readonly waitedMs: number;
  /** Of whoever is in the way, as etcd's tools print it. */
  readonly lease: string;
}

interface Events {
  readonly granted: GrantedEvent;
  readonly ended: EndedEvent;
  readonly refused: RefusedEvent;
  readonly stuck: StuckEvent;
  readonly session: SessionEvent;
  readonly health: HealthEvent;
  readonly call: CallEvent;
  readonly run: RunEvent;
  readonly config: ConfigEvent;
  readonly resync: ResyncEvent;
}

export type EventName = keyof Events;

const NAMES: readonly EventName[] = [
  'granted',
  'ended',
  'refused',
  'stuck',
  'session',
  'health',
  'call',
  'run',
  'config',
  'resync',
];

const channels = Object.fromEntries(NAMES.map((name) => [name, channel(channelOf(name))])) as Readonly<
  Record<EventName, Channel>
>;

function channelOf(name: EventName): string {
  return `holdfast:${name}`;
}

/** Whether somebody listens: what is told only then need not be made before. */
export function isHeard(name: EventName): boolean {
  return channels[name].hasSubscribers;
}

/** Tells whoever listens. What listeners throw is theirs: Node reports it as an uncaught exception of its own. */
export function tell<Name extends EventName>(name: Name, event: Events[Name]): void {
  if (channels[name].hasSubscribers) channels[name].publish(event);
}

/** Listens until the returned function is called. */
export function listen<Name extends EventName>(name: Name, listener: (event: Events[Name]) => void): () => void {
  const heard = (event: unknown): void => listener(event as Events[Name]);
  subscribe(channelOf(name), heard);
  return () => unsubscribe(channelOf(name), heard);
}

/** How long ago something began, for an event; as the clock of safety has it. */
export function sinceMs(clock: Clock, begunAt: Instant): number {
  return elapsedMs(begunAt, clock.now());
}
