import { machineMs } from '../election/machine-clock.ts';
import { sampleSteadily } from '../election/stalls.ts';
import { append, workloadOf } from './history.ts';
import type { Call, Exclusive, HistoryEvent, Settled, Workload } from './history.ts';

/** Of those that have ended: they must never be held again. */
const KEPT_TENURES = 40;

/** The parent need not know of each. */
const PROGRESS_EVERY_MS = 20;

/** By these codes a call was not applied, and never will be. */
const REFUSALS = new Set([
  'UNAVAILABLE',
  'VERSION_CONFLICT',
  'LOCK_TIMEOUT',
  'STALE_TOKEN',
  'CLOSED',
  'LIMIT_EXCEEDED',
]);

/** Why a signal aborts, other than that the work is over. */
const LOSSES = new Set(['LOCK_LOST', 'LEADERSHIP_LOST']);

/** Who has them goes on for long. */
const LASTING = new Set<Workload>(['election', 'partition']);

/** Says that the write is there: only the cache is behind. */
const WRITTEN = /was written at revision/;

interface Tenure {
  readonly token: bigint;
  /** Absent: nothing tells of a loss. */
  readonly signal?: AbortSignal;
  isHeld(): boolean;
}

/** What a client process tells the one that started it. */
export type Progress = { readonly of: Workload | Exclusive } | { readonly about: 'to write' };

/** Writes down what the workloads of one process do and see. */
export class Recorder {
  readonly #file: string;
  readonly #tenures: { readonly workload: Exclusive; readonly tenure: Tenure }[] = [];
  readonly #progressedAt = new Map<Workload | Exclusive, number>();
  #calls = 0;

  constructor(file: string) {
    this.#file = file;
    sampleSteadily(
      () => this.#sampleAll(),
      (stall) => this.write({ kind: 'stall', ...stall }),
    );
  }

  /** From now on it writes down what the process needs, every so often, where the collector can be called (`--expose-gc`). */
  watchResources(everyMs: number): void {
    const collect = globalThis.gc;
    if (collect === undefined) return;
    setInterval(() => {
      collect();
      const { heapUsed: heapBytes } = process.memoryUsage();
      const handles = process.getActiveResourcesInfo().length;
      this.write({ kind: 'resources', heapBytes, handles, at: machineMs() });
    }, everyMs);
  }

  write(event: HistoryEvent): void {
    append(this.#file, event);
  }

  /** Tells that a workload gets on, or a part of it. */
  progress(of: Workload | Exclusive): void {
    const now = machineMs();
    if (now - (this.#progressedAt.get(of) ?? 0) < PROGRESS_EVERY_MS) return;
    this.#progressedAt.set(of, now);
    process.send?.({ of } satisfies Progress);
  }

  /** Tells that it has read under the lock, and will write some time later. */
  announceWrite(): void {
    process.send?.({ about: 'to write' } satisfies Progress);
  }

  /** Does and writes down a call. Resolves to what it gave, or to the error; rejects for what no caller should ever see. */
  async call<T>(
    about: Pick<Call, 'workload' | 'what' | 'limitMs' | 'key' | 'value'>,
    act: () => Promise<T>,
    seen: (result: T) => Pick<Settled, 'revision' | 'value'> = () => ({}),
  ): Promise<{ readonly result: T } | { readonly code: string }> {
    this.#calls += 1;
    const id = this.#calls;
    this.write({ kind: 'call', id, ...about, at: machineMs() });
    try {
      const result = await act();
      this.write({ kind: 'settled', id, outcome: 'ok', ...seen(result), at: machineMs() });
      /* That of a lock is that it was granted. */
      if (about.workload !== 'lock') this.progress(about.workload);
      return { result };
    } catch (error) {
      const { code = 'NONE', message } = error as { readonly code?: string; readonly message: string };
      const outcome = WRITTEN.test(message) ? 'ok' : REFUSALS.has(code) ? 'failed' : 'unknown';
      this.write({ kind: 'settled', id, outcome, code, message, at: machineMs() });
      return { code };
    }
  }

  /** From now on it is written down for as long as it is held. */
  granted(workload: Exclusive, tenure: Tenure, since: number): void {
    const at = machineMs();
    this.write({ kind: 'granted', workload, token: tenure.token, since, at });
    this.#tenures.push({ workload, tenure });
    const { signal } = tenure;
    signal?.addEventListener('abort', () => {
      if (!LOSSES.has((signal.reason as { readonly code?: string }).code ?? '')) return;
      this.write({ kind: 'lost', workload, token: tenure.token, at: machineMs() });
    });
    if (this.#tenures.length > KEPT_TENURES) {
      const over = this.#tenures.findIndex((each) => !each.tenure.isHeld());
      if (over !== -1) this.#tenures.splice(over, 1);
    }
    this.sample(workload, tenure);
    this.progress(workloadOf(workload));
  }

  sample(workload: Exclusive, tenure: Tenure): void {
    const at = machineMs();
    if (!tenure.isHeld()) return;
    this.write({ kind: 'held', workload, token: tenure.token, at });
    const whole = workloadOf(workload);
    if (LASTING.has(whole)) for (const part of [whole, workload]) this.progress(part);
  }

  #sampleAll(): void {
    for (const { workload, tenure } of this.#tenures) this.sample(workload, tenure);
  }
}
