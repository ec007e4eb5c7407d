import { ConfigInvalidError } from '../errors.ts';
import type { KeyValue } from '../store/store.ts';
import type { Json } from './schema.ts';
import { expectJson } from './value.ts';

/** What stands in etcd under a config entry's key, and under the key of each of its versions in history. */
export interface Envelope {
  /** 1, 2, 3, … for each entry, also after a delete. */
  readonly version: number;
  readonly value: Json;
  /** The instance that wrote it. */
  readonly by: string;
}

export function seal({ version, value, by }: Envelope): string {
  return JSON.stringify({ version, by, value });
}

/** Throws ConfigInvalidError for anything else than an envelope. Names the key and revision, never the value. */
export function unseal({ key, modRevision, value: text }: KeyValue): Envelope {
  const what = `config under ${key} at revision ${modRevision}`;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new ConfigInvalidError(`The ${what} is not JSON.`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new ConfigInvalidError(`The ${what} is not an envelope with version and value.`);
  }
  const { version, value, by } = parsed as Record<string, unknown>;
  if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 1 || value === undefined) {
    throw new ConfigInvalidError(`The ${what} is not an envelope with version and value.`);
  }
  expectJson(what, value);
  return { version, value, by: typeof by === 'string' ? by : '' };
}

/** As {@link unseal}; `undefined` for what is none. */
export function versionOf(entry: KeyValue | undefined): number | undefined {
  if (entry === undefined) return undefined;
  try {
    return unseal(entry).version;
  } catch {
    return undefined;
  }
}
