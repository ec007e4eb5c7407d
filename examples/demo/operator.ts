/** Who sets the pace: a program beside the workers, with a coordinator of its own, as a deployment or somebody at a console would be. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createCoordinator, type Config, type Coordinator, type RolloutReport } from 'holdfast';
import { reports } from './pace-audit.ts';
import { openPace, type Pace } from './pace.ts';

/** A version that was set. */
export interface Change extends Pace {
  readonly version: number;
  /** When it was sent, on the machine's monotonic clock, in nanoseconds. */
  readonly sentAt: bigint;
}

/** After an outage etcd has to be waited for, longer on a busy machine; and a rollout is told about a second late. */
const LIMIT_MS = 10_000;

export class Operator implements AsyncDisposable {
  readonly #coordinator: Coordinator;
  readonly #pace: Config<Pace, Pace>;

  constructor(endpoint: string, { ttlMs }: { readonly ttlMs: number }) {
    this.#coordinator = createCoordinator({
      endpoints: endpoint,
      namespace: 'demo',
      instanceId: 'operator',
      session: { ttlMs },
      request: { deadlineMs: LIMIT_MS },
    });
    this.#pace = openPace(this.#coordinator);
  }

  /** Sets the next version. A write is never queued while etcd is away, so this waits until there is somebody to write to. */
  async set(transferMs: number, signal: AbortSignal): Promise<Change> {
    await this.#coordinator.ready({ timeoutMs: LIMIT_MS, signal });
    const sentAt = process.hrtime.bigint();
    const { version } = await this.#pace.set({ transferMs }, { signal });
    return { version, transferMs, sentAt };
  }

  /** What the workers report that they serve, as soon as it is this version; whatever they report if that takes too long. */
  async rollout(version: number, workers: readonly string[], signal: AbortSignal): Promise<readonly RolloutReport[]> {
    const until = performance.now() + LIMIT_MS;
    for (;;) {
      const rollout = await this.#pace.rollout({ signal });
      if (workers.every((worker) => reports(rollout, worker, version)) || performance.now() > until) return rollout;
      await sleep(100, undefined, { signal });
    }
  }

  /** Every version that the store has had, with its milliseconds a transfer. */
  async history(signal: AbortSignal): Promise<ReadonlyMap<number, number>> {
    const versions = await this.#pace.history({ limit: 100, signal });
    return new Map(versions.map(({ version, value }) => [version, (value as unknown as Pace).transferMs]));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#coordinator.close();
  }
}
