import { fullJitterMs } from '../resilience/backoff.ts';
import { onAbort } from '../runtime/abort.ts';
import { sleep } from '../runtime/clock.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { Latest } from '../sequence/latest.ts';
import { leaseHex } from '../session/keyspace.ts';
import type { KeyOwner, Session } from '../session/session.ts';
import type { KeyValue, Store } from '../store/store.ts';
import type { ConfigWriter } from './config-writer.ts';
import { versionOf } from './envelope.ts';

/** What one instance says of a config entry. */
export interface RolloutReport {
  readonly instanceId: string;
  /** The version that it serves; `undefined` if it has none of the store's. */
  readonly applied: number | undefined;
  /** The newer version that it does not serve, and why. */
  readonly refused: { readonly version: number | undefined; readonly reason: string } | undefined;
}

interface Report {
  readonly applied?: number;
  readonly refused?: { readonly version?: number; readonly reason: string };
}

/** A change is told after this long at least, so that a burst of versions is told once. Doubled by jitter: many processes see it at once. */
const TELL_AFTER_MS = 500;

/** After a report that could not be put. */
const RETRY = { baseMs: 2_000, capMs: 30_000 };

/**
 * Tells others which version this instance has applied, under a key on the session's lease: off the hot path, at most about once a second,
 * and gone with the process. It coordinates nothing; nobody waits for it.
 */
export class Rollout {
  readonly #runtime: Runtime;
  readonly #store: Store;
  readonly #session: (signal: AbortSignal) => Promise<Session>;
  readonly #writer: ConfigWriter;
  readonly #options: { readonly prefix: string; readonly instanceId: string; readonly timeoutMs: number };
  readonly #closed = new AbortController();
  readonly #report = new Latest<Report>({});
  #telling = false;

  constructor(
    runtime: Runtime,
    store: Store,
    session: (signal: AbortSignal) => Promise<Session>,
    writer: ConfigWriter,
    options: { readonly prefix: string; readonly instanceId: string; readonly timeoutMs: number },
  ) {
    this.#runtime = runtime;
    this.#store = store;
    this.#session = session;
    this.#writer = writer;
    this.#options = options;
  }

  applied(version: number): void {
    this.#tell({ applied: version });
  }

  refused(stored: KeyValue, reason: string): void {
    const version = versionOf(stored);
    this.#tell({ ...this.#report.value, refused: { ...(version === undefined ? {} : { version }), reason } });
  }

  async reports(signal: AbortSignal): Promise<readonly RolloutReport[]> {
    const entries = await this.#writer.rollout(signal);
    return entries.flatMap(({ value }) => readReport(value) ?? []);
  }

  close(): void {
    this.#closed.abort(new Error('the config is closed'));
  }

  #tell(report: Report): void {
    this.#report.set(report);
    if (this.#telling) return;
    this.#telling = true;
    void this.#tellAll().catch(() => {});
  }

  /** Until the end: each report, and the last one again on each new session. */
  async #tellAll(): Promise<void> {
    const { clock, random } = this.#runtime;
    const { signal } = this.#closed;
    for (let failures = 0; ;) {
      await sleep(clock, TELL_AFTER_MS * (1 + random.uniform()), signal);
      const session = await this.#session(signal).catch(() => undefined);
      signal.throwIfAborted();
      try {
        if (session === undefined) throw new Error('there is no session');
        const report = this.#report.value;
        await this.#put(session, report);
        failures = 0;
        if (this.#report.value === report) await this.#untilStale(session, signal);
      } catch (error) {
        signal.throwIfAborted();
        failures += 1;
        this.#runtime.logger.debug('A rollout report was not put', {
          event: 'config.unreported',
          error: String(error),
        });
        await sleep(
          clock,
          fullJitterMs(failures, RETRY, () => random.uniform()),
          signal,
        );
      }
    }
  }

  async #put(session: Session, report: Report): Promise<void> {
    const { prefix, instanceId, timeoutMs } = this.#options;
    const key = `${prefix}${leaseHex(session.lease)}`;
    /* The audit deletes keys on the lease that nobody owns. The loss of this one matters to nobody. */
    const owner: KeyOwner = { key, createRevision: undefined, lost: () => {} };
    session.own(owner);
    const value = JSON.stringify({ instanceId, ...report });
    const put = { type: 'put' as const, key, value, lease: session.lease };
    await this.#store.transact({ compare: [], then: [put] }, { timeoutMs, signal: session.signal });
  }

  /** Resolves when there is something new to tell, or another session to tell it on. */
  #untilStale(session: Session, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        for (const stop of stops) stop();
        resolve();
      };
      const stops: (() => void)[] = [];
      stops.push(this.#report.subscribe(done), onAbort(session.signal, done), onAbort(signal, done));
    });
  }
}

/** `undefined` for what is no report of ours. */
export function readReport(text: string): RolloutReport | undefined {
  try {
    const { instanceId, applied, refused } = JSON.parse(text) as Partial<RolloutReport>;
    if (typeof instanceId !== 'string' || !isVersion(applied)) return undefined;
    if (refused === undefined) return { instanceId, applied, refused };
    const { version, reason } = refused;
    return isVersion(version) && typeof reason === 'string'
      ? { instanceId, applied, refused: { version, reason } }
      : undefined;
  } catch {
    return undefined;
  }
}

function isVersion(version: number | undefined): boolean {
  return version === undefined || (Number.isSafeInteger(version) && version > 0);
}
