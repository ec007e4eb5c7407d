/**
 * Jobs over a long time: days or a year of ticks on the real code, in virtual time, while processes crash, lose contact, are replaced, and
 * have their clocks set an hour ahead or back; then what the store was told is held against T1 to T3 of the invariants.
 *
 * One trouble at a time, but for a clock that is wrong when a leader dies: so there is always somebody who knows the time. A process that is
 * alone with a wrong clock cannot be right, and is not asked to be.
 */
import { Cadence } from '../schedule/cadence.ts';
import type { Tick } from '../schedule/tick.ts';
import { MemoryCluster, type Delay } from '../store/memory/memory-cluster.ts';
import { RecordingLogger } from '../testing/recording-logger.ts';
import { SeededRandom } from '../testing/seeded-random.ts';
import { VirtualClock } from '../testing/virtual-clock.ts';
import { Machine } from './machine.ts';
import { auditTicks, type SimulatedJob } from './tick-audit.ts';

export interface YearOptions {
  readonly seed: number;
  /** When it begins, in milliseconds since 1970. */
  readonly fromMs: number;
  readonly days: number;
  readonly latencyMs: Delay;
  /** From one trouble to the next, in milliseconds. */
  readonly calmMs: { readonly from: number; readonly to: number };
}

export interface YearReport {
  readonly starts: number;
  readonly retries: number;
  readonly missed: number;
  readonly troubles: number;
  readonly violations: readonly string[];
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const TTL_MS = HOUR;

/** A clock that is ahead by no more than this may start a tick before its time. */
const TOLERANCE_MS = 30_000;

const jobs: readonly SimulatedJob[] = [
  {
    name: 'hourly',
    pattern: '0 * * * *',
    options: { timezone: 'Europe/Berlin', missed: 'last', onLeaderLoss: 'retry' },
  },
  { name: 'daily', pattern: '30 2 * * *', options: { timezone: 'Europe/Berlin', missed: 'all' } },
];

export async function simulateSchedules(options: YearOptions): Promise<YearReport> {
  return new Year(options).run();
}

class Year {
  readonly #options: YearOptions;
  readonly #random: SeededRandom;
  readonly #clock: VirtualClock;
  readonly #cluster: MemoryCluster;
  readonly #violations: string[] = [];
  /** What work was called with, in any process. */
  readonly #called = new Set<string>();
  #machines: Machine[] = [];
  #booted = 0;
  #troubles = 0;
  #isOver = false;

  constructor(options: YearOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    this.#clock = new VirtualClock({ turns: 1, wallMs: options.fromMs });
    const random = this.#random.fork();
    const runtime = { clock: this.#clock, random, logger: new RecordingLogger(), exit: () => {} };
    this.#cluster = new MemoryCluster(runtime, { expiryLagMs: { from: 0, to: 500 } });
  }

  async run(): Promise<YearReport> {
    const { days, calmMs } = this.#options;
    for (let each = 0; each < 3; each += 1) this.#boot();
    while (this.#clock.elapsedMs < days * 24 * HOUR) {
      await this.#clock.advance(this.#random.integer(calmMs.from, calmMs.to));
      await this.#trouble();
      this.#troubles += 1;
    }
    /* What is left to do is done in peace, and soon. */
    this.#isOver = true;
    await this.#clock.advance(3 * HOUR);
    const closing = this.#machines.map(({ coordinator }) => coordinator.close({ drainMs: HOUR }));
    await this.#clock.settle(Promise.all(closing), { withinMs: 4 * HOUR });
    return { troubles: this.#troubles, ...this.#audit() };
  }

  #boot(): void {
    const { latencyMs } = this.#options;
    const machine = new Machine(this.#clock, this.#cluster, {
      name: `machine ${(this.#booted += 1)}`,
      seed: this.#random.integer(0, 0xffff_ffff),
      ttlMs: TTL_MS,
      timeoutMs: 2_000,
      deadlineMs: 6_000,
      latencyMs,
    });
    const random = this.#random.fork();
    for (const { name, pattern, options } of jobs) {
      machine.coordinator.schedule(name, pattern, (tick) => this.#work(tick, random), options);
    }
    this.#machines.push(machine);
  }

  /** Mostly short, at times longer than an hour, and most of it listens to its signal. */
  #work(tick: Tick, random: SeededRandom): Promise<void> {
    const id = `${tick.job} ${tick.scheduledFor.toISOString()} attempt ${tick.attempt}`;
    if (this.#called.has(id)) this.#violations.push(`T1: the work of ${id} was started twice`);
    this.#called.add(id);
    const earlyMs = tick.scheduledFor.getTime() - this.#clock.now().wallMs;
    if (earlyMs > TOLERANCE_MS) this.#violations.push(`T3: ${id} was started ${earlyMs} ms early`);
    const lastsMs =
      random.chance(0.05) && !this.#isOver ? random.integer(HOUR, 2 * HOUR) : random.integer(0, 5 * MINUTE);
    const isDeaf = random.chance(0.1);
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.schedule(lastsMs, resolve);
      if (isDeaf) return;
      tick.signal.addEventListener('abort', () => {
        cancel();
        reject(tick.signal.reason as Error);
      });
    });
  }

  /** One trouble, from its beginning to its end. */
  async #trouble(): Promise<void> {
    const random = this.#random;
    const kind = random.pick(['crash', 'replace', 'isolate', 'outage', 'jump', 'jump', 'jump and crash'] as const);
    switch (kind) {
      case 'crash':
        return this.#crash(random.pick(this.#machines));
      case 'replace': {
        const machine = random.pick(this.#machines);
        this.#remove(machine);
        this.#boot();
        await this.#clock.settle(machine.coordinator.close({ drainMs: 3 * HOUR }), { withinMs: 4 * HOUR });
        return;
      }
      case 'isolate': {
        const machine = random.pick(this.#machines);
        const mend = machine.store.faults.cutOff();
        this.#revoke(machine);
        await this.#clock.advance(random.integer(MINUTE, 15 * MINUTE));
        mend();
        return;
      }
      case 'outage':
        this.#cluster.stop(random.pick(['crash', 'freeze']));
        await this.#clock.advance(random.integer(MINUTE, 15 * MINUTE));
        this.#cluster.start();
        return;
      case 'jump':
      case 'jump and crash': {
        const machine = random.pick(this.#machines);
        const byMs = random.pick([-HOUR, HOUR]);
        machine.host.jumpWall(byMs);
        await this.#clock.advance(random.integer(MINUTE, 2 * HOUR));
        if (kind === 'jump and crash') {
          await this.#crash(random.pick(this.#machines.filter((each) => each !== machine)));
        }
        await this.#clock.advance(random.integer(MINUTE, 12 * HOUR));
        machine.host.jumpWall(-byMs);
      }
    }
  }

  /** It is gone, and its lease; another one takes its place after a while. */
  async #crash(machine: Machine): Promise<void> {
    this.#revoke(machine);
    machine.kill();
    this.#remove(machine);
    await this.#clock.advance(this.#random.integer(MINUTE, 3 * HOUR));
    this.#boot();
  }

  #remove(machine: Machine): void {
    this.#machines = this.#machines.filter((each) => each !== machine);
  }

  #revoke({ coordinator }: Machine): void {
    const lease = coordinator.session?.lease;
    if (lease !== undefined && this.#cluster.leases.includes(BigInt(`0x${lease}`))) {
      this.#cluster.revoke(BigInt(`0x${lease}`));
    }
  }

  #audit(): Omit<YearReport, 'troubles'> {
    let starts = 0;
    let retries = 0;
    let missed = 0;
    const untilMs = this.#clock.now().wallMs;
    const puts = this.#cluster.log.flatMap(({ events }) =>
      events.flatMap((event) => (event.type === 'put' ? [event.entry] : [])),
    );
    for (const job of jobs) {
      const found = auditTicks(job, puts);
      const { settledMs = 0 } = found;
      starts += found.starts;
      retries += found.retries;
      missed += found.missed;
      this.#violations.push(...found.violations);
      for (const key of found.open) this.#violations.push(`T2: nobody said how ${key} ended`);
      const next = new Cadence(job.pattern, job.options.timezone).next(settledMs);
      if ((next ?? 0) <= untilMs - 10 * MINUTE) {
        this.#violations.push(`T2: ${job.name} came to a halt at ${new Date(settledMs).toISOString()}`);
      }
    }
    return { starts, retries, missed, violations: this.#violations };
  }
}
