import { looseFields, type LooseField } from './known-divergences.ts';

const loose = new Map<string, LooseField>(looseFields.map((each) => [nameOf(each.field, each.method), each]));

function nameOf(field: string, method: string | undefined): string {
  return method === undefined ? field : `${method}.${field}`;
}

/**
 * Where two answers to a method differ, in words, or nothing: field by field and byte by byte, but for the fields that are known not to
 * be comparable.
 */
export function difference(method: string, theirs: unknown, ours: unknown): string | undefined {
  return differenceAt(method, method, '', theirs, ours);
}

function differenceAt(method: string, at: string, field: string, theirs: unknown, ours: unknown): string | undefined {
  if (theirs === ours) return undefined;
  const rule = loose.get(nameOf(field, method)) ?? loose.get(field);
  if (rule?.isAlike(theirs, ours) === true) return undefined;
  const here = (): string => `${at}: etcd says ${show(theirs)}, the embedded one ${show(ours)}`;
  if (!isObject(theirs) || !isObject(ours)) return here();
  if (Buffer.isBuffer(theirs) || Buffer.isBuffer(ours)) {
    return Buffer.isBuffer(theirs) && Buffer.isBuffer(ours) && theirs.equals(ours) ? undefined : here();
  }
  const isList = Array.isArray(theirs);
  if (isList !== Array.isArray(ours) || (isList && theirs.length !== (ours as unknown as readonly unknown[]).length)) {
    return here();
  }
  for (const name of Object.keys(theirs)) {
    if (!(name in ours)) return here();
    const found = differenceAt(method, `${at}.${name}`, isList ? '' : name, theirs[name], ours[name]);
    if (found !== undefined) return found;
  }
  return Object.keys(ours).length === Object.keys(theirs).length ? undefined : here();
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

const MOST_CHARACTERS = 1_500;

/** A message for people: bytes as text, and not too many of them. */
export function show(message: unknown): string {
  const text = JSON.stringify(message, function (this: Record<string, unknown>, name, value: unknown) {
    // A buffer has become JSON of its own before it gets here.
    const original = this[name];
    if (!Buffer.isBuffer(original)) return value;
    return original.length > 40 ? `${original.length} bytes` : original.toString('latin1');
  });
  return text === undefined ? 'nothing' : text.slice(0, MOST_CHARACTERS);
}
