/**
 * A worker of the demo, a process of its own: what a service does with holdfast. The rest of the folder makes trouble for it, and looks.
 */
import type { ConfigEntry } from '../../config/config-entry.ts';
import type { Config } from '../../config/config.ts';
import type { Json } from '../../config/schema.ts';
import { createCoordinator, type Coordinator } from '../../coordinator.ts';
import { HoldfastError } from '../../errors.ts';
import type { HeldLock } from '../../lock/held-lock.ts';
import { onAbort } from '../../runtime/abort.ts';
import { elapsedMs, machineNow, sleep, type Clock } from '../../runtime/clock.ts';
import { CounterClient } from './counter-client.ts';
import type { Said } from './observation.ts';
import type { Order, WorkerOptions } from './order.ts';

/** Where everything of the demo is in etcd. */
export const NAMESPACE = 'demo';
export const CONFIG = 'limits';
export const JOB = 'job';

/** How long the work under a lock takes, in milliseconds, and then how long its write is on its way at least: long enough to be stopped there. */
const WORK_MS = 120;
export const WAY_MS = 120;

/** How long a run of the job takes, in milliseconds: long enough to be killed in it. */
const RUN_MS = 300;

/** How often it is looked until when a lock is valid, and the time is told while one is asked for, in milliseconds. */
const LOOK_MS = 10;

/** An age is believed for twice as long, in milliseconds. */
const FRESHNESS_MS = 500;

/** `at`: the time that it is about, in milliseconds on the machine's monotonic clock; now by default. */
type Say = (said: Said, at?: number) => void;

export class Worker {
  readonly #clock: Clock;
  readonly #name: string;
  readonly #say: Say;
  readonly #coordinator: Coordinator;
  readonly #limits: Config<Json, Json>;
  readonly #counter: CounterClient;
  #contends = false;

  constructor(clock: Clock, { name, endpoint, resource, ttlMs }: WorkerOptions, say: Say) {
    this.#clock = clock;
    this.#name = name;
    this.#say = say;
    this.#coordinator = createCoordinator({
      endpoints: endpoint,
      namespace: NAMESPACE,
      instanceId: name,
      session: { ttlMs },
      request: { timeoutMs: 1_000, deadlineMs: 3_000 },
    });
    this.#limits = this.#coordinator.config(CONFIG, { freshnessMs: FRESHNESS_MS });
    this.#counter = new CounterClient(resource, name);
  }

  /** Tells of itself until it is closed. */
  async run(): Promise<void> {
    await Promise.all([this.#tellHealth(), this.#tellVersions()]);
  }

  async take(order: Exclude<Order, { readonly do: 'inherit' }>): Promise<void> {
    switch (order.do) {
      case 'contend':
        return this.#contend();
      case 'rest':
        this.#contends = false;
        return undefined;
      case 'hold':
        return this.#hold();
      case 'read':
        return this.#read(order.times);
      case 'schedule':
        return this.#schedule();
      case 'close':
        return this.#coordinator.close({ drainMs: 2_000 });
    }
  }

  async #contend(): Promise<void> {
    this.#contends = true;
    while (this.#contends) await this.#count().catch((error: unknown) => this.#failed(error));
    this.#say({ type: 'rests' });
  }

  /**
   * Adds one. However late it looks whether it holds the lock, it may be stopped after that, or its write may be slow: then only the guard at
   * the resource can know that somebody else has been there.
   */
  async #count(): Promise<void> {
    const work = async (held: HeldLock): Promise<void> => {
      const value = await this.#counter.read(held);
      await sleep(this.#clock, WORK_MS, held.signal);
      held.assertHeld();
      this.#say({ type: 'writes', token: held.token, value: value + 1 });
      await this.#travel();
      await this.#counter.write(held, value + 1);
    };
    await this.#coordinator.lock('counter').with(work, { waitForRecovery: true });
  }

  /** By the clock that the demo looks at. A timer counts whole milliseconds, and can come a part of one early. */
  async #travel(): Promise<void> {
    const arrival = machineNow().monotonicMs + WAY_MS;
    for (;;) {
      const leftMs = arrival - machineNow().monotonicMs;
      if (leftMs <= 0) return;
      await sleep(this.#clock, leftMs);
    }
  }

  async #hold(): Promise<void> {
    const lock = this.#coordinator.lock(`of ${this.#name}`);
    const held = await lock.acquire();
    const lease = this.#coordinator.session?.lease ?? '';
    this.#say({ type: 'holds', token: held.token });
    const lapsedAt = await this.#lapsed(held);
    const reason = await new Promise((resolve) => {
      onAbort(held.signal, resolve);
    });
    this.#say({ type: 'lapsed', token: held.token }, lapsedAt);
    this.#say({ type: 'lost', token: held.token, lease, code: codeOf(reason) });

    const askedAt = this.#clock.now();
    const { code, waitedMs } = await this.#waited(
      lock.acquire().then(
        () => undefined,
        (error: unknown) => codeOf(error),
      ),
    );
    this.#say({ type: 'asked', code, tookMs: elapsedMs(askedAt, this.#clock.now()), waitedMs });

    const again = await lock.acquire({ waitForRecovery: true });
    this.#say({ type: 'holds', token: again.token });
    await again.release();
  }

  /** Resolves when a lock is not valid any more, to until when it was: it can be renewed, and then is valid for longer. */
  async #lapsed(held: HeldLock): Promise<number> {
    let lapsesAt = machineNow().monotonicMs;
    while (held.isHeld()) {
      /* Who is stopped between the two says less than is true, and never more. */
      const { monotonicMs } = machineNow();
      lapsesAt = Math.max(lapsesAt, monotonicMs + held.remainingMs());
      await sleep(this.#clock, LOOK_MS, held.signal).catch(() => {});
    }
    return lapsesAt;
  }

  /** By short timers one after the other: while the process is starved they stand still, as the call that is waited for does. */
  async #waited(
    call: Promise<string | undefined>,
  ): Promise<{ readonly code: string | undefined; readonly waitedMs: number }> {
    let waitedMs = 0;
    const over = new AbortController();
    const waiting = (async () => {
      for (; ; waitedMs += LOOK_MS) await sleep(this.#clock, LOOK_MS, over.signal);
    })().catch(() => {});
    const code = await call;
    over.abort();
    await waiting;
    return { code, waitedMs };
  }

  /** No I/O, and nothing to await. */
  #read(reads: number): void {
    let failed = 0;
    let entry: ConfigEntry<Json> | undefined;
    const startedAt = this.#clock.now();
    for (let read = 0; read < reads; read += 1) {
      try {
        entry = this.#limits.get();
      } catch {
        failed += 1;
      }
    }
    const tookMs = elapsedMs(startedAt, this.#clock.now());
    const { version, source, ageMs } = entry ?? {};
    this.#say({ type: 'read', reads, failed, version, source, ageMs, tookMs });
  }

  #schedule(): void {
    this.#coordinator.schedule(JOB, '* * * * * *', async (tick) => {
      await this.#counter.mark(tick);
      await sleep(this.#clock, RUN_MS, tick.signal);
    });
  }

  async #tellHealth(): Promise<void> {
    for await (const { state } of this.#coordinator.watchHealth()) {
      this.#say({ type: 'health', state });
      if (state !== 'connected') continue;
      /* Contact comes first, and then a session that can be relied on, unless contact is lost again before. */
      await this.#coordinator.ready().catch(() => {});
      const lease = this.#coordinator.session?.lease;
      if (lease !== undefined) this.#say({ type: 'session', lease });
    }
  }

  /** Whoever only needs the value just reads it; this is for what has to be done at a change. */
  async #tellVersions(): Promise<void> {
    for await (const entry of this.#limits.watch()) {
      if (entry !== undefined) this.#say({ type: 'serves', version: entry.version });
    }
  }

  #failed(error: unknown): void {
    if (!(error instanceof HoldfastError)) throw error;
    this.#say({ type: 'failed', code: error.code });
  }
}

function codeOf(error: unknown): string {
  return error instanceof HoldfastError ? error.code : String(error);
}
