import { createHash } from 'node:crypto';
import path from 'node:path';
import type { Files } from '../runtime/files.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { KeyValue, Span } from '../store/store.ts';
import type { Replica } from './replica.ts';

/**
 * What a replica knew last, in a file, for a start while etcd is away. It is only ever a stale source: the first list replaces it.
 *
 * One file for each span, written as a whole, with a checksum and a format number. Several processes may share a folder: each of them
 * writes what it knows, and the last one stays. What cannot be used (cut short, of another span, of a newer format) is ignored with a
 * warning and set aside.
 */
const FORMAT = 1;

/** A change is written after this long, so that a burst is written once. */
const WRITE_AFTER_MS = 1_000;

interface Header {
  readonly holdfastSnapshot: number;
  readonly span: string;
  readonly revision: string;
  readonly sha256: string;
}

type Row = readonly [key: string, value: string, createRevision: string, modRevision: string, version: string];

/** The file's text: a line that describes it, and a line with the entries. */
export function encodeSnapshot(span: Span, revision: bigint, entries: Iterable<KeyValue>): string {
  const rows: Row[] = [];
  for (const { key, value, createRevision, modRevision, version } of entries) {
    rows.push([key, value, String(createRevision), String(modRevision), String(version)]);
  }
  const body = JSON.stringify(rows);
  const header: Header = {
    holdfastSnapshot: FORMAT,
    span: nameOf(span),
    revision: String(revision),
    sha256: checksum(body),
  };
  return `${JSON.stringify(header)}\n${body}\n`;
}

/** The entries in the text of a file. Throws an Error that says what is wrong with it. */
export function decodeSnapshot(span: Span, text: string): readonly KeyValue[] {
  const [first = '', body = ''] = text.split('\n');
  const header = parse(first) as Partial<Header> | null;
  if (typeof header !== 'object' || header === null || typeof header.holdfastSnapshot !== 'number') {
    throw new Error('it is not a snapshot');
  }
  if (header.holdfastSnapshot !== FORMAT)
    throw new Error(`its format is ${header.holdfastSnapshot}, and ${FORMAT} is known here`);
  if (header.span !== nameOf(span)) throw new Error('it is of something else');
  if (header.sha256 !== checksum(body)) throw new Error('its checksum is wrong: it was cut short or changed');
  const rows = parse(body);
  if (!Array.isArray(rows)) throw new Error('its entries are no list');
  return rows.map(readRow);
}

/** The checksum tells of accidents, not of whoever wrote it. */
function readRow(row: unknown): KeyValue {
  if (!Array.isArray(row) || row.length !== 5 || row.some((each) => typeof each !== 'string')) {
    throw new Error('one of its entries is none');
  }
  const [key, value, createRevision, modRevision, version] = row as unknown as Row;
  return {
    key,
    value,
    createRevision: positive(createRevision),
    modRevision: positive(modRevision),
    version: positive(version),
    lease: 0n,
  };
}

function positive(text: string): bigint {
  if (!/^[1-9][0-9]{0,18}$/.test(text)) throw new Error('one of its entries has no revision');
  return BigInt(text);
}

/** The snapshots of one coordinator's replicas. */
export class SnapshotFolder {
  readonly #runtime: Runtime;
  readonly #files: Files;
  readonly #folder: string;

  constructor(runtime: Runtime, files: Files, folder: string) {
    this.#runtime = runtime;
    this.#files = files;
    this.#folder = folder;
  }

  /** Gives the replica what the file says, and keeps the file up to date. Returns what writes the rest and ends that. */
  attach(replica: Replica, span: Span): () => Promise<void> {
    const file = path.join(this.#folder, `${readable(span)}-${checksum(nameOf(span)).slice(0, 16)}.json`);
    this.#load(replica, span, file);

    const { clock, logger } = this.#runtime;
    let cancel: (() => void) | undefined;
    let writing: Promise<void> = Promise.resolve();
    const write = (): void => {
      cancel = undefined;
      const text = encodeSnapshot(span, replica.revision, replica.entries.values());
      writing = writing
        .then(() => this.#files.replace(file, text))
        .catch((error: unknown) => {
          logger.warn('A snapshot could not be written; the last one stays', {
            event: 'snapshot.unwritten',
            file,
            error: String(error),
          });
        });
    };
    const unfollow = replica.follow({
      changed: () => {
        cancel ??= clock.schedule(WRITE_AFTER_MS, write);
      },
    });
    return async () => {
      unfollow();
      if (cancel !== undefined) {
        cancel();
        write();
      }
      await writing;
    };
  }

  #load(replica: Replica, span: Span, file: string): void {
    const { logger } = this.#runtime;
    try {
      const text = this.#files.read(file);
      if (text === undefined) return;
      replica.preload(decodeSnapshot(span, text));
      logger.info('A snapshot was read', { event: 'snapshot.read', file });
    } catch (error) {
      logger.warn('A snapshot cannot be used and is set aside', {
        event: 'snapshot.unusable',
        file,
        error: String(error),
      });
      try {
        this.#files.setAside(file);
      } catch {
        /* It could not be read, so it may be impossible to move as well. */
      }
    }
  }
}

function nameOf(span: Span): string {
  return 'prefix' in span ? `prefix ${span.prefix}` : `key ${span.key}`;
}

/** For people who look into the folder; the checksum behind it is what tells files apart. */
function readable(span: Span): string {
  const name = 'prefix' in span ? span.prefix : span.key;
  return name
    .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 80);
}

function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
