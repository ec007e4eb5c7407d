/** What stands in etcd of work that was done: an envelope of JSON around what it returned. */
import { show } from '../arguments.ts';
import { LimitExceededError } from '../errors.ts';
import type { KeyValue } from '../store/store.ts';

/** What the work returned, as everybody gets it. */
export interface Result {
  readonly value: unknown;
}

/** As much as a tenant's settings need, and little enough for a store that keeps all of it in memory. */
const MAX_BYTES = 64 * 1_024;

/**
 * A record of what the work returned, which `by` did under `token`. Throws a TypeError for what would come out of JSON as something else
 * than it went in, and LimitExceededError for more than 64 KiB.
 */
export function seal(
  shown: string,
  value: unknown,
  { by, token }: { readonly by: string; readonly token: bigint },
): string {
  const text = value === undefined ? undefined : jsonOf(shown, value);
  const bytes = text === undefined ? 0 : Buffer.byteLength(text);
  if (bytes > MAX_BYTES) {
    throw new LimitExceededError(
      `Expected the result of ${shown} to be at most ${MAX_BYTES} bytes of JSON, got ${bytes}. ${UNRECORDED}`,
    );
  }
  const about = JSON.stringify({ by, token: token.toString() });
  return text === undefined ? about : `{"value":${text},${about.slice(1)}`;
}

/** What the work returned. Throws a TypeError for anything else than a record. */
export function unseal({ key, modRevision, value: text }: Pick<KeyValue, 'key' | 'modRevision' | 'value'>): Result {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    /* No record, as what follows finds. */
  }
  const { value, token } = (parsed ?? {}) as { readonly value?: unknown; readonly token?: unknown };
  if (typeof token === 'string') return { value };
  throw new TypeError(
    `Expected a record under ${key}, got something else, at revision ${modRevision}. Somebody else wrote it; ` +
      'see to it, and take it back with forgetOnce.',
  );
}

const UNRECORDED = 'The work was done and is not recorded: the next call does it again.';

function jsonOf(shown: string, value: unknown): string {
  let text;
  try {
    text = JSON.stringify(value, refuseWhatIsLost);
  } catch (error) {
    /* Of a cycle it draws a picture. */
    const [why] = error instanceof Error ? error.message.split('\n') : ['it cannot be written as text'];
    throw new TypeError(`Expected the result of ${shown} to be JSON or undefined: ${why}. ${UNRECORDED}`, {
      cause: error,
    });
  }
  return text;
}

/** A replacer that replaces nothing. A property that is undefined is left out, as everywhere; what else would be changed is refused. */
function refuseWhatIsLost(this: unknown, name: string, replaced: unknown): unknown {
  const part = (this as Readonly<Record<string, unknown>>)[name];
  const isElement = Array.isArray(this);
  if (!isJson(part) && (part !== undefined || isElement)) {
    throw new TypeError(`got ${show(part)}${name === '' ? '' : ` at ${JSON.stringify(name)}`}`);
  }
  return replaced;
}

function isJson(part: unknown): boolean {
  if (typeof part === 'number') return Number.isFinite(part);
  if (typeof part !== 'object' || part === null) return part === null || ['string', 'boolean'].includes(typeof part);
  const prototype: unknown = Object.getPrototypeOf(part);
  return Array.isArray(part) || prototype === Object.prototype || prototype === null;
}
