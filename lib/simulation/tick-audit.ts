import { Cadence } from '../schedule/cadence.ts';
import type { ScheduleOptions } from '../schedule/job-options.ts';
import { Keyspace } from '../session/keyspace.ts';
import type { KeyValue } from '../store/store.ts';

/** A job that every machine of a simulation schedules alike. */
export interface SimulatedJob {
  readonly name: string;
  readonly pattern: string;
  readonly options: ScheduleOptions & { readonly timezone: string };
}

/** What the store was told of a job. */
export interface TickReport {
  readonly starts: number;
  readonly retries: number;
  readonly missed: number;
  /** The last tick that was settled, in milliseconds since 1970; `undefined` if none ever was. */
  readonly settledMs: number | undefined;
  /** Records of runs of which nobody has said how they ended. */
  readonly open: readonly string[];
  readonly violations: readonly string[];
}

/** Of what is put under a job's keys, whatever an audit of it needs. */
interface Put {
  readonly state?: string;
  readonly scheduledForMs?: number;
  readonly trigger?: string;
  readonly attempt?: number;
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly count?: number;
  readonly atMs?: number;
}

/** Above this a record says how many it stands for at least. */
const COUNTED_EXACTLY = 900;

const keyspace = new Keyspace('sim');

/**
 * T1 and T2, from what was put under a job's keys, in order: no attempt at a tick was started twice; each tick that came due was started, or
 * is recorded as missed, and not both. `before`: what stood there when it began, where that was not nothing.
 */
export function auditTicks(
  { name, pattern, options }: SimulatedJob,
  puts: Iterable<KeyValue>,
  before: readonly KeyValue[] = [],
): TickReport {
  const keys = keyspace.job(name);
  const violations: string[] = [];
  /* By key: how often it was started, and what was said last. */
  const started = new Map<string, number>();
  const last = new Map<string, string>();
  const runs = new Set<number>();
  const stretches: { readonly fromMs: number; readonly toMs: number; readonly count: number }[] = [];
  const settled = before.filter(({ key }) => key === keys.last).map(({ value }) => parse(value).atMs ?? 0);
  let retries = 0;
  for (const { key, value } of puts) {
    if (!key.startsWith(keys.prefix)) continue;
    const put = parse(value);
    if (key === keys.last) settled.push(put.atMs ?? 0);
    if (!key.startsWith(keys.history)) continue;
    last.set(key, put.state ?? '');
    if (put.state === 'missed') {
      const { fromMs = 0, toMs = 0, count = 0 } = put;
      stretches.push({ fromMs, toMs, count });
    } else if (put.state === 'started') {
      started.set(key, (started.get(key) ?? 0) + 1);
      if (put.attempt === 1) runs.add(put.scheduledForMs ?? 0);
      else retries += 1;
    }
  }
  for (const [key, times] of started) if (times > 1) violations.push(`T1: ${key} was started ${times} times`);

  const cadence = new Cadence(pattern, options.timezone);
  const [firstMs = 0] = settled;
  const lastMs = settled.at(-1) ?? 0;
  let due = 0;
  for (let at = cadence.next(firstMs); at !== undefined && at <= lastMs; at = cadence.next(at)) {
    const tick = at;
    due += 1;
    const times =
      (runs.has(tick) ? 1 : 0) + stretches.filter(({ fromMs, toMs }) => fromMs <= tick && tick <= toMs).length;
    if (times !== 1) violations.push(`T2: ${name} ${new Date(tick).toISOString()} was accounted for ${times} times`);
  }
  const missed = stretches.reduce((sum, { count }) => sum + count, 0);
  if (runs.size + missed !== due && stretches.every(({ count }) => count <= COUNTED_EXACTLY)) {
    violations.push(`T2: ${name} had ${due} ticks, and ${runs.size} starts and ${missed} missed`);
  }
  const open = [...last].flatMap(([key, state]) => (state === 'started' ? [key] : []));
  return { starts: runs.size, retries, missed, settledMs: settled.at(-1), open, violations };
}

function parse(value: string): Put {
  return JSON.parse(value) as Put;
}
