import { unpackToken } from '../queue/token.ts';
import { abortable } from '../runtime/abort.ts';
import { sleep } from '../runtime/clock.ts';
import type { Job } from '../schedule/job.ts';
import type { Tick } from '../schedule/tick.ts';
import type { KeyValue } from '../store/store.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import type { Calls } from './calls.ts';
import type { Invariants } from './invariants.ts';
import type { Machine } from './machine.ts';
import { raise } from './raise.ts';
import { auditTicks, type SimulatedJob, type TickReport } from './tick-audit.ts';
import type { Workload } from './workload.ts';
import type { World } from './world.ts';

/** A clock that is ahead by no more than this may start a tick before its time. */
const TOLERANCE_MS = 30_000;

/**
 * After a jump a clock is watched for up to a minute, one that is ahead lets others lead for up to a minute, and a failure is followed by
 * a pause of up to ten seconds; see trust.ts and job.ts. One that was refused access waits for up to 45 seconds.
 */
const PATIENCE_MS = 180_000;

/**
 * Jobs with a tick every few seconds.
 *
 * T1: no attempt at a tick is started twice, in the store or in a process. T2: every tick that came due was started or is recorded as missed, and
 * after the healing the jobs go on. T3: as long as somebody knows better, a clock that is ahead starts no tick before its time.
 * Tokens rise from start to start.
 */
export class ScheduleWorkload implements Workload {
  readonly counts: Map<string, number> = new Map();
  readonly patienceMs: number = PATIENCE_MS;
  readonly #world: World;
  readonly #invariants: Invariants;
  readonly #calls: Calls;
  /** By epoch, since a backup knows nothing of what was started after it was made: what work was called with. */
  readonly #called = new Set<string>();
  /** By job: the greatest token that work was called with. */
  readonly #highest = new Map<string, bigint>();
  /** What stood there when this era began, and where in the log that was. */
  #before: readonly KeyValue[] = [];
  #position = 0;
  #probing: Promise<void> | undefined;

  constructor(world: World, invariants: Invariants, calls: Calls) {
    this.#world = world;
    this.#invariants = invariants;
    this.#calls = calls;
  }

  start(machine: Machine, random: SeededRandom): void {
    for (const job of this.#world.setup.jobs) void this.#keep(machine, job, random.fork());
  }

  restored(): void {
    this.#settle();
    const { cluster } = this.#world;
    this.#before = cluster.entries('sim/schedule-job/');
    this.#position = cluster.log.length;
  }

  /** The jobs go on, and of whatever was going on it is known how it ended. */
  async probe(_: Machine, withinMs: number): Promise<void> {
    this.#probing ??= Promise.all(this.#world.setup.jobs.map((job) => this.#goesOn(job, withinMs + PATIENCE_MS))).then(
      () => {},
    );
    await this.#probing;
  }

  finish(): void {
    this.#settle();
  }

  /** Schedules the job, stops it now and then, so that others come to lead, and schedules it again. */
  async #keep(machine: Machine, job: SimulatedJob, random: SeededRandom): Promise<void> {
    for (;;) {
      if (machine.state !== 'up') return;
      const scheduled = machine.coordinator.schedule(
        job.name,
        job.pattern,
        (tick) => this.#work(machine, tick, random.fork()),
        job.options,
      );
      await this.#for(machine, random.integer(2_000, 40_000));
      if (machine.state !== 'up' || this.#world.healedAtMs !== undefined) return;
      await this.#stop(machine, scheduled, random.pick([0, 500, 3_000]));
      await this.#for(machine, random.integer(0, 3_000));
    }
  }

  async #stop(machine: Machine, job: Job, drainMs: number): Promise<void> {
    await this.#calls.call(machine, 'stop', [], drainMs, () => job.stop({ drainMs }));
  }

  /** In small steps, so that a job is scheduled again soon when the world is healed. */
  async #for(machine: Machine, durationMs: number): Promise<void> {
    for (let leftMs = durationMs; leftMs > 0 && this.#world.healedAtMs === undefined; leftMs -= 250) {
      await sleep(machine.host, Math.min(250, leftMs));
    }
  }

  async #work(machine: Machine, tick: Tick, random: SeededRandom): Promise<void> {
    this.#check(machine, tick);
    this.#count(tick.attempt === 1 ? 'ticks started' : 'ticks started again');
    const { token, signal } = tick;
    const held = { token, signal, isHeld: () => !signal.aborted };
    const working = raise(this.#world, machine, `tick/${tick.job}`, held, random);
    /* Some do not listen. */
    await (random.chance(0.1) ? working : abortable(working, signal));
    if (random.chance(0.1)) throw new Error('the work of a tick failed');
  }

  #check(machine: Machine, { job, scheduledFor, attempt, token }: Tick): void {
    const { history, clock, setup, nowMs } = this.#world;
    const what = `${job} ${scheduledFor.toISOString()} attempt ${attempt}`;
    history.note(machine.name, `starts ${what} with ${token}`);
    const id = `${unpackToken(token).epoch} ${what}`;
    if (this.#called.has(id)) history.violate('T1 an attempt at a tick is started once', `${machine.name} ${what}`);
    this.#called.add(id);

    /* Whose leadership was taken away by hand can start something before it is told. */
    const highest = this.#highest.get(job) ?? 0n;
    if (token <= highest && this.#invariants.doomedAtMs < nowMs - 2 * setup.ttlMs) {
      history.violate('tokens of ticks rise', `${machine.name} ${what} has ${token} after ${highest}`);
    }
    if (token > highest) this.#highest.set(job, token);

    const earlyMs = scheduledFor.getTime() - clock.now().wallMs;
    if (earlyMs <= TOLERANCE_MS) return;
    this.#count('ticks started before their time');
    if (this.#wasToldBetter(machine)) {
      history.violate('T3 a clock that is ahead eats no ticks', `${machine.name} ${what}, ${earlyMs} ms early`);
    }
  }

  /**
   * When it asked the others, one with a right clock was there and answered, and nobody sided with it. Reads from the past
   * can hide the answers.
   */
  #wasToldBetter(machine: Machine): boolean {
    const { machines, setup } = this.#world;
    const { clockTouchedAtMs: sinceMs, readsStale } = machine;
    const others = machines.filter((each) => each !== machine);
    const knows = (each: Machine): boolean =>
      each.state === 'up' &&
      Math.max(each.faultyUntilMs, each.bootedAtMs) < sinceMs - 2 * setup.ttlMs &&
      each.stoppedMs(sinceMs, this.#world.nowMs) === 0;
    return !readsStale && others.every(({ clockTouchedAtMs }) => clockTouchedAtMs < 0) && others.some(knows);
  }

  async #goesOn(job: SimulatedJob, withinMs: number): Promise<void> {
    const { clock, history, nowMs } = this.#world;
    const untilMs = nowMs + withinMs;
    const sinceMs = clock.now().wallMs;
    const open = new Set(this.#audit(job).open);
    for (;;) {
      await sleep(clock, 1_000);
      const { settledMs = 0, open: stillOpen } = this.#audit(job);
      const unended = stillOpen.filter((key) => open.has(key));
      /* Somebody who was alone with a wrong clock has started what is to come: then there is nothing to start. */
      if (settledMs >= sinceMs && unended.length === 0) return;
      if (this.#world.nowMs >= untilMs) {
        const at = new Date(settledMs).toISOString();
        if (settledMs < sinceMs) history.violate('T2 jobs go on', `${job.name} came to a halt at ${at}`);
        if (unended.length > 0) history.violate('T2 somebody says how a run ended', unended.join(', '));
        return;
      }
    }
  }

  /** The era is over, or the run is: its ticks are counted. */
  #settle(): void {
    for (const job of this.#world.setup.jobs) {
      const { violations, missed } = this.#audit(job);
      this.#count('ticks missed', missed);
      for (const violation of violations) this.#world.history.violate('ticks are accounted for', violation);
    }
  }

  #audit(job: SimulatedJob): TickReport {
    const puts = this.#world.cluster.log
      .slice(this.#position)
      .flatMap(({ events }) => events.flatMap((event) => (event.type === 'put' ? [event.entry] : [])));
    return auditTicks(job, puts, this.#before);
  }

  #count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }
}
