import type { Runtime } from '../runtime/runtime.ts';
import { leaseHex } from '../session/keyspace.ts';
import type { Operations } from '../session/operations.ts';
import { Publication } from '../session/publication.ts';
import type { KeyValue } from '../store/store.ts';
import type { ConfigWriter } from './config-writer.ts';
import { versionOf } from './envelope.ts';

/** What one instance says of a config entry. */
export interface RolloutReport {
  /** Who says so. */
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

/**
 * Tells others which version this instance has applied: off the hot path, at most about once a second, and gone with the process. It
 * coordinates nothing; nobody waits for it.
 */
export class Rollout {
  readonly #publication: Publication;
  readonly #writer: ConfigWriter;
  readonly #instanceId: string;
  #report: Report = {};

  constructor(
    runtime: Runtime,
    operations: Operations,
    writer: ConfigWriter,
    { prefix, instanceId }: { readonly prefix: string; readonly instanceId: string },
  ) {
    const nonce = runtime.random.bits64().toString(36);
    this.#publication = new Publication(runtime, operations, {
      keyOn: (session) => `${prefix}${leaseHex(session.lease)}-${nonce}`,
      paceMs: TELL_AFTER_MS,
    });
    this.#writer = writer;
    this.#instanceId = instanceId;
  }

  applied(version: number): void {
    this.#tell({ applied: version });
  }

  refused(stored: KeyValue, reason: string): void {
    const version = versionOf(stored);
    this.#tell({ ...this.#report, refused: { ...(version === undefined ? {} : { version }), reason } });
  }

  async reports(signal: AbortSignal): Promise<readonly RolloutReport[]> {
    return lastWords(await this.#writer.rollout(signal));
  }

  close(): void {
    this.#publication.close();
  }

  #tell(report: Report): void {
    this.#report = report;
    this.#publication.say(JSON.stringify({ instanceId: this.#instanceId, ...report }));
  }
}

/** What is said by the keys of a rollout: of an instance that has opened the config more than once, the last word. */
export function lastWords(entries: readonly KeyValue[]): readonly RolloutReport[] {
  const inOrder = entries.toSorted((a, b) => (a.modRevision < b.modRevision ? -1 : 1));
  const reports = inOrder.flatMap(({ value }) => readReport(value) ?? []);
  return [...new Map(reports.map((report) => [report.instanceId, report])).values()];
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
