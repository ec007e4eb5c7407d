/**
 * What may stand in a log line. A coordination SDK handles passwords, keys and the values of its callers; none of them belongs into
 * a log. Names decide first, then content: a PEM block or the userinfo of a URL is removed wherever it stands.
 *
 * A fencing token is no secret. It orders holders and opens nothing, and an incident cannot be understood without it, so it is
 * written as decimal text. Names of keys, locks and users stay too.
 */

const REDACTED = '[redacted]';
const MAX_DEPTH = 5;
const MAX_ITEMS = 50;
const MAX_TEXT = 2_000;

/** Whole names in any spelling (`privateKey`, `private_key`, `PRIVATE-KEY`), and the endings that make any name one of them. */
const SECRET_NAME =
  /^(ca|cert|certs|certificate|authorization|cookie|setcookie|credentials?|pem|pfx)$|(password|passwd|passphrase|secret|apikey|privatekey|tlskey|values?)$/;
/** A token may be a fencing token or one that authenticates. Only the first is a whole number. */
const TOKEN_NAME = /^auth$|token$/;
const FENCING_TOKEN = /^[0-9]{1,19}$/;
const PEM = /-----BEGIN [A-Z0-9 ]+-----/;
const USERINFO = /([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/?#]{1,500}@/gi;

/**
 * A copy of `fields` that is fit for a log: secrets and values are replaced by `[redacted]`, a bigint by its decimal text, an error
 * by its name, code, message and cause. The copy is plain JSON of bounded size, also when the fields have cycles.
 */
export function redact(fields: object): Record<string, unknown> {
  return redactEntries(Object.entries(fields), 1);
}

/** As {@link redact}, for one text: without PEM blocks and the userinfo of URLs, cut after 2,000 characters. */
export function redactText(text: string): string {
  const cut = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
  return PEM.test(cut) ? REDACTED : cut.replace(USERINFO, '$1');
}

function redactEntries(entries: readonly (readonly [string, unknown])[], depth: number): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, value] of entries.slice(0, MAX_ITEMS)) {
    const redacted = isSecret(name, value) ? REDACTED : redactValue(value, depth);
    // Not an assignment: the name may be `__proto__`.
    if (redacted !== undefined)
      Object.defineProperty(result, name, { value: redacted, enumerable: true, configurable: true, writable: true });
  }
  return result;
}

function isSecret(name: string, value: unknown): boolean {
  if (value === undefined || value === null) return false;
  const plainName = name.replace(/[^a-z]/gi, '').toLowerCase();
  if (SECRET_NAME.test(plainName)) return true;
  return TOKEN_NAME.test(plainName) && typeof value === 'string' && !FENCING_TOKEN.test(value);
}

function redactValue(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      return redactText(value);
    case 'bigint':
      return value.toString();
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'symbol':
      return String(value);
    case 'function':
      return undefined;
    case 'object':
      return value === null ? null : redactObject(value, depth);
    default:
      return value;
  }
}

function redactObject(value: object, depth: number): unknown {
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
  if (depth >= MAX_DEPTH) return '[…]';
  if (value instanceof Error) return redactError(value, depth);
  if (value instanceof Map)
    return redactEntries(
      [...value].map(([name, entry]) => [String(name), entry]),
      depth + 1,
    );
  if (Array.isArray(value) || value instanceof Set)
    return [...value].slice(0, MAX_ITEMS).map((item) => redactValue(item, depth + 1) ?? null);
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    return redactValue(Reflect.apply(value.toJSON, value, []), depth + 1);
  }
  return redactEntries(Object.entries(value), depth + 1);
}

/** The stack is left out: it repeats the message, and the `event` of a line says where it comes from. */
function redactError(error: Error, depth: number): Record<string, unknown> {
  const { name, message, cause } = error;
  return redactEntries(
    Object.entries({ name, code: 'code' in error ? error.code : undefined, message, cause }),
    depth + 1,
  );
}
