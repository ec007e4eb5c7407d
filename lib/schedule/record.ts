/**
 * What is written down of a job: small JSON without anything of the application but the message of an error, cut short.
 *
 * The token of a run is not in its record: it is made of the revision of the very transaction that puts the record, which is the record's
 * create revision from then on.
 */
import { packToken } from '../queue/token.ts';
import { withDecimals } from '../runtime/decimals.ts';
import { redactText } from '../runtime/redact.ts';
import { textOf } from '../runtime/thrown.ts';
import type { KeyValue } from '../store/store.ts';
import type { Stretch } from './cadence.ts';

/** Why a run was started: its time had come, or somebody asked for it. */
export type Trigger = 'schedule' | 'manual';

/** One attempt at a tick. */
export interface RunRecord {
  /**
   * `failed`: the work threw, or took too long. `abandoned`: its leader came to an end before the work did, by a loss or a stop; the work may
   * have been done, in part or as a whole.
   */
  readonly state: 'started' | 'finished' | 'failed' | 'abandoned';
  /** The tick's: when it was due, or asked for. */
  readonly scheduledFor: Date;
  /** Why it was started. */
  readonly trigger: Trigger;
  /** 1 for the first. */
  readonly attempt: number;
  /** The fencing token that the run was given. */
  readonly token: bigint;
  /** The instance that ran it. */
  readonly instanceId: string;
  /** By that instance's clock. */
  readonly startedAt: Date;
  /** How long the work took, in milliseconds; once it has ended. */
  readonly durationMs: number | undefined;
  /** Why it failed, cut to about 300 bytes. */
  readonly error: string | undefined;
}

/** Ticks that were passed over, as the `missed` policy says. */
export interface MissedRecord {
  /** Tells it from the record of a run. */
  readonly state: 'missed';
  /** The first of them. */
  readonly scheduledFor: Date;
  /** The last of them. */
  readonly until: Date;
  /** How many; at least so many where it is above 900. */
  readonly count: number;
  /** The instance that recorded it. */
  readonly instanceId: string;
}

/** What became of a tick, or of several that were passed over; `state` tells which. */
export type JobRecord = RunRecord | MissedRecord;

/** A run as it is written. */
export interface StoredRun {
  readonly state: RunRecord['state'];
  readonly scheduledForMs: number;
  readonly trigger: Trigger;
  readonly attempt: number;
  readonly instanceId: string;
  readonly epoch: number;
  readonly startedAtMs: number;
  readonly durationMs?: number;
  readonly error?: string;
  /** It was abandoned, and whoever leads next is to start it once more. */
  readonly isRetryDue?: true;
}

interface StoredMissed extends Stretch {
  readonly state: 'missed';
  readonly instanceId: string;
}

/** The tick up to which everything is settled, and by which cadence. */
export interface Settled {
  readonly atMs: number;
  readonly pattern: string;
  readonly timezone: string;
}

const ERROR_BYTES = 300;

/** Thirteen digits, so that the order of the keys is that of the instants until the year 2286. */
export function runKey(history: string, run: { readonly scheduledForMs: number; readonly attempt: number }): string {
  return `${history}${digits(run.scheduledForMs)}-${run.attempt}`;
}

export function missedKey(history: string, missed: Stretch): string {
  return `${history}${digits(missed.fromMs)}-missed`;
}

export function sealMissed({ fromMs, toMs, count }: Stretch, instanceId: string): string {
  const stored: StoredMissed = { state: 'missed', fromMs, toMs, count, instanceId };
  return JSON.stringify(stored);
}

/** The token of the run that a record was put for: rising from claim to claim, over all processes. */
export function tokenOf(run: StoredRun, createRevision: bigint): bigint {
  return packToken({ epoch: run.epoch, revision: createRevision, handoff: 0 });
}

/** An error's message, fit to be kept: without what looks like a secret, and short. */
export function errorText(error: unknown): string {
  let text = redactText(textOf(error));
  while (Buffer.byteLength(text) > ERROR_BYTES) text = `${text.slice(0, Math.floor(text.length * 0.8))}…`;
  return text;
}

/** `undefined` for what is no run of ours. */
export function readRun({ value }: KeyValue): StoredRun | undefined {
  const run = parse<StoredRun>(value);
  const isRun =
    run !== undefined &&
    ['started', 'finished', 'failed', 'abandoned'].includes(run.state ?? '') &&
    ['schedule', 'manual'].includes(run.trigger ?? '') &&
    isInstant(run.scheduledForMs) &&
    isInstant(run.startedAtMs) &&
    isCount(run.attempt) &&
    isEpoch(run.epoch) &&
    typeof run.instanceId === 'string' &&
    (run.durationMs === undefined || Number.isFinite(run.durationMs)) &&
    (run.error === undefined || typeof run.error === 'string');
  return isRun ? (run as StoredRun) : undefined;
}

/** A record as its reader sees it; `undefined` for what somebody else has put there. */
export function readRecord(entry: KeyValue): JobRecord | undefined {
  const run = readRun(entry);
  if (run !== undefined) {
    return withDecimals({
      state: run.state,
      scheduledFor: new Date(run.scheduledForMs),
      trigger: run.trigger,
      attempt: run.attempt,
      token: tokenOf(run, entry.createRevision),
      instanceId: run.instanceId,
      startedAt: new Date(run.startedAtMs),
      durationMs: run.durationMs,
      error: run.error,
    });
  }
  const missed = parse<StoredMissed>(entry.value);
  if (missed?.state !== 'missed' || !isInstant(missed.fromMs) || !isInstant(missed.toMs)) return undefined;
  const { fromMs, toMs, count, instanceId } = missed;
  if (!isCount(count) || typeof instanceId !== 'string') return undefined;
  return { state: 'missed', scheduledFor: new Date(fromMs), until: new Date(toMs), count, instanceId };
}

/** `undefined` for what cannot be read. */
export function readSettled({ value }: KeyValue): Settled | undefined {
  const settled = parse<Settled>(value);
  const isSettled =
    settled !== undefined &&
    isInstant(settled.atMs) &&
    typeof settled.pattern === 'string' &&
    typeof settled.timezone === 'string';
  return isSettled ? (settled as Settled) : undefined;
}

/** The instant of a request or a pause, and who made it; `undefined` for what cannot be read. */
export function readMark({ value }: KeyValue): { readonly atMs: number; readonly by: string } | undefined {
  const mark = parse<{ readonly atMs: number; readonly by: unknown }>(value);
  if (mark === undefined || !isInstant(mark.atMs)) return undefined;
  return { atMs: mark.atMs, by: typeof mark.by === 'string' ? mark.by : '' };
}

/** Of what may be anything: each field is still to be looked at. */
function parse<T extends object>(text: string): Partial<T> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function digits(ms: number): string {
  return String(ms).padStart(13, '0');
}

/** What a Date can be made of. */
function isInstant(value: number | undefined): value is number {
  return Number.isInteger(value) && Math.abs(value ?? 0) <= 8.64e15;
}

function isCount(value: number | undefined): value is number {
  return Number.isInteger(value) && (value ?? 0) >= 1;
}

function isEpoch(value: number | undefined): boolean {
  return Number.isInteger(value) && (value ?? -1) >= 0 && (value ?? 256) <= 255;
}
