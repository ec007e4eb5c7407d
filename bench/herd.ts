/**
 * Many processes lose etcd at once, for longer than their leases last, and it comes back: what do they all ask of it in the first seconds, and
 * when does everybody have everything again? The real code of each process, on the model of etcd, in virtual time. The model has a speed: it
 * takes so many calls a second, one after the other, and who is behind waits, times out and asks again, as it would be.
 *
 * Not modelled: connections (which a real process has to open first), how long a call takes by its size, and that a member
 * that is behind refuses calls by itself ("too many requests").
 */
import { once } from 'node:events';
import { completeOptions } from '../lib/coordinator-options.ts';
import { Coordinator } from '../lib/coordinator.ts';
import type { Cache } from '../lib/index.ts';
import type { Logger } from '../lib/runtime/logger.ts';
import { MemoryCluster } from '../lib/store/memory/memory-cluster.ts';
import type { MemoryStore } from '../lib/store/memory/memory-store.ts';
import { SeededRandom } from '../lib/testing/seeded-random.ts';
import { VirtualClock } from '../lib/testing/virtual-clock.ts';
import type { Results, Sheet } from './findings.ts';
import { quantile } from './rounds.ts';

export interface HerdOptions {
  readonly processes: number;
  /** How many calls etcd takes each second; see docs/capacity.md for what was measured. */
  readonly callsPerSecond: readonly number[];
}

const TTL_MS = 15_000;

/** Twice a TTL: every session is lost, and everybody has tried often enough to be as patient as it gets. */
const OUTAGE_MS = 30_000;

/** In which processes start, as a rolling deployment has it. */
const ROLL_OUT_MS = 30_000;

const STEP_MS = 100;
const GIVE_UP_MS = 300_000;

const CANDIDATES_PER_ELECTION = 10;
const KEYS = 20;

/** What one herd went through. */
interface Passage {
  readonly callsPerSecond: number;
  readonly steadyPerSecond: number;
  readonly refusedPerSecond: number;
  /** In the second with the most. */
  readonly peakPerSecond: number;
  readonly peakByMethod: ReadonlyMap<string, number>;
  readonly callsPerProcess: number;
  readonly timedOut: number;
  /** Milliseconds from the return to the recovery of each process, sorted; those that had not within the time are missing. */
  readonly recoveredMs: readonly number[];
}

export async function herd({ processes, callsPerSecond }: HerdOptions): Promise<Results> {
  const passages: Passage[] = [];
  /* Millions of calls are refused, and nobody looks at where. */
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    for (const speed of callsPerSecond) passages.push(await pass(processes, speed));
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  const shown = (count: number): string => (Number.isFinite(count) ? String(Math.round(count)) : 'without limit');
  const seconds = (ms: number | undefined): string =>
    ms === undefined || Number.isNaN(ms) ? 'never' : `${(ms / 1_000).toFixed(1)} s`;
  const last = (passage: Passage): number =>
    passage.recoveredMs.length === processes ? (passage.recoveredMs.at(-1) ?? 0) : Number.POSITIVE_INFINITY;
  const sheet: Sheet = {
    title: `A herd of ${processes} processes: etcd is away for ${OUTAGE_MS / 1_000} s, TTL ${TTL_MS / 1_000} s (virtual time)`,
    head: [
      ...[
        'etcd takes, calls/s',
        'before, calls/s',
        'while away, attempts/s',
        'peak after, calls/s',
        'calls per process',
      ],
      ...['attempts that timed out', 'half have all again', '99 %', 'all'],
    ],
    rows: passages.map((passage) => [
      ...[passage.callsPerSecond, passage.steadyPerSecond, passage.refusedPerSecond, passage.peakPerSecond].map(shown),
      passage.callsPerProcess.toFixed(1),
      shown(passage.timedOut),
      seconds(quantile(passage.recoveredMs, 0.5)),
      seconds(passage.recoveredMs[Math.ceil(processes * 0.99) - 1]),
      passage.recoveredMs.length === processes ? seconds(last(passage)) : `${passage.recoveredMs.length} only`,
    ]),
  };
  const methods: Sheet = {
    title: 'Calls in the second with the most, by method',
    head: ['etcd takes, calls/s', 'calls'],
    rows: passages.map(({ callsPerSecond: speed, peakByMethod }) => [
      shown(speed),
      [...peakByMethod].map(([method, count]) => `${method} ${count}`).join(', '),
    ]),
  };
  return {
    findings: passages.map((passage) => ({
      what: `${processes} processes after an outage, etcd takes ${shown(passage.callsPerSecond)} calls/s: all have everything again`,
      measured: last(passage) / TTL_MS,
      unit: 'TTL',
      target: {
        atMost: Math.round((100 * (TTL_MS + 2 * 1_000 + 2_000)) / TTL_MS) / 100,
        why: 'TTL + 2 elections + 2 s',
      },
    })),
    sheets: [sheet, methods],
  };
}

async function pass(processes: number, callsPerSecond: number): Promise<Passage> {
  const clock = new VirtualClock({ turns: 1 });
  const random = new SeededRandom(1);
  const cluster = new MemoryCluster(
    { clock, random: random.fork(), logger: silent, exit: () => {} },
    { keepsLog: false, expiryLagMs: { from: 0, to: 500 }, catchUpMs: { from: 0, to: 100 } },
  );
  for (let key = 0; key < KEYS; key += 1) cluster.put(`herd/cache/routes/${key}`, 'http://10.0.0.7:8080');
  const meter = new Meter(clock, callsPerSecond);
  const members: Member[] = [];
  for (let index = 0; index < processes; index += 1) {
    clock.schedule((index / processes) * ROLL_OUT_MS, () => {
      const runtime = { clock, random: random.fork(), logger: silent, exit: () => {} };
      const store = cluster.connect({ name: String(index), runtime, latencyMs: { from: 1, to: 3 } });
      meter.attach(store);
      members.push(new Member(index, new Coordinator(runtime, store, optionsOf(index))));
    });
  }
  await clock.advance(ROLL_OUT_MS);
  await untilAllHaveEverything(clock, members);
  meter.begin();
  await clock.advance(TTL_MS);
  const steadyPerSecond = meter.total / (TTL_MS / 1_000);

  cluster.stop('crash');
  meter.begin();
  await clock.advance(OUTAGE_MS);
  const refusedPerSecond = meter.total / (OUTAGE_MS / 1_000);

  cluster.start();
  meter.begin();
  const recoveredMs = await untilAllHaveEverything(clock, members);
  const { total, peak, timedOut } = meter;
  return {
    callsPerSecond,
    steadyPerSecond,
    refusedPerSecond,
    peakPerSecond: [...peak.values()].reduce((sum, count) => sum + count, 0),
    peakByMethod: peak,
    callsPerProcess: total / processes,
    timedOut,
    recoveredMs,
  };
}

/** Resolves to how long each of them took, sorted. */
async function untilAllHaveEverything(clock: VirtualClock, members: readonly Member[]): Promise<readonly number[]> {
  const from = clock.elapsedMs;
  const recovered: number[] = [];
  let waiting = members;
  while (waiting.length > 0 && clock.elapsedMs - from < GIVE_UP_MS) {
    await clock.advance(STEP_MS);
    const left = waiting.filter((member) => !member.hasEverything);
    for (let count = left.length; count < waiting.length; count += 1) recovered.push(clock.elapsedMs - from);
    waiting = left;
  }
  return recovered;
}

/** A process as a service has it: a lock of its own that it always wants, a place in an election, and routes to read. */
class Member {
  readonly #coordinator: Coordinator;
  readonly #routes: Cache;
  #holds = false;

  constructor(index: number, coordinator: Coordinator) {
    this.#coordinator = coordinator;
    this.#routes = coordinator.cache('routes/');
    void this.#hold(`shard-${index}`);
    const election = coordinator.election(`role-${Math.floor(index / CANDIDATES_PER_ELECTION)}`);
    void election.lead(({ signal }) => once(signal, 'abort')).catch(() => undefined);
  }

  get hasEverything(): boolean {
    return this.#holds && this.#coordinator.health.state === 'connected' && this.#routes.get('0')?.source === 'live';
  }

  async #hold(name: string): Promise<void> {
    for (;;) {
      const held = await this.#coordinator.lock(name).acquire({ waitForRecovery: true });
      this.#holds = true;
      if (!held.signal.aborted) await once(held.signal, 'abort');
      this.#holds = false;
    }
  }
}

/** Counts what arrives at etcd, second by second, and lets it wait its turn there. */
class Meter {
  readonly #clock: VirtualClock;
  readonly #msPerCall: number;
  #idleAtMs = 0;
  #since = 0;
  #seconds: Map<string, number>[] = [];
  timedOut = 0;

  constructor(clock: VirtualClock, callsPerSecond: number) {
    this.#clock = clock;
    this.#msPerCall = 1_000 / callsPerSecond;
  }

  attach(store: MemoryStore): void {
    store.faults.onRequest((call) => {
      const second = Math.floor((this.#clock.elapsedMs - this.#since) / 1_000);
      const counts = (this.#seconds[second] ??= new Map<string, number>());
      counts.set(call.method, (counts.get(call.method) ?? 0) + 1);
      if (this.#msPerCall === 0) return 'deliver';
      const servedAtMs = Math.max(this.#idleAtMs, this.#clock.elapsedMs) + this.#msPerCall;
      const delayMs = servedAtMs - this.#clock.elapsedMs;
      const isLate = delayMs > ATTEMPT_MS;
      if (isLate) this.timedOut += 1;
      if (isLate && !WRITES.has(call.method)) return 'drop';
      this.#idleAtMs = servedAtMs;
      return { delayMs };
    });
  }

  /** From now on. */
  begin(): void {
    this.#since = this.#clock.elapsedMs;
    this.#idleAtMs = 0;
    this.#seconds = [];
    this.timedOut = 0;
  }

  get total(): number {
    return this.#seconds.reduce((sum, counts) => sum + sumOf(counts), 0);
  }

  /** The second with the most. */
  get peak(): ReadonlyMap<string, number> {
    return this.#seconds.reduce(
      (most, counts) => (sumOf(counts) > sumOf(most) ? counts : most),
      new Map<string, number>(),
    );
  }
}

const ATTEMPT_MS = 2_000;

/** What goes through raft, and is applied whether or not its caller still waits. Of anything else etcd hears that the caller has given up. */
const WRITES: ReadonlySet<string> = new Set(['transact', 'grant', 'revoke']);

function sumOf(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

function optionsOf(index: number): ReturnType<typeof completeOptions> {
  return completeOptions({
    namespace: 'herd',
    instanceId: `process-${index}`,
    session: { ttlMs: TTL_MS },
    request: { timeoutMs: ATTEMPT_MS },
    logger: silent,
  });
}
