import { ConfigInvalidError } from '../errors.ts';
import { pathOf, type Json, type StandardSchema } from './schema.ts';

/** A value and all below it, read-only. Json is that already, and to go down into it would never end. */
export type DeepReadonly<T> = [Json] extends [T]
  ? T
  : T extends (...parameters: never[]) => unknown
    ? T
    : T extends object
      ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
      : T;

/** Deeper than any setting needs to be, and shallow enough for every recursion over it. */
const MAX_DEPTH = 64;

/**
 * Throws ConfigInvalidError for what JSON cannot carry as it is, or should not: a NaN that would become null, a class instance that
 * would lose its methods, a `__proto__` that would poison whoever merges it, endless nesting. Names the path, never the value.
 */
export function expectJson(what: string, value: unknown): asserts value is Json {
  check(value, '', 0);

  function check(part: unknown, path: string, depth: number): void {
    const fail = (expected: string): never => {
      throw new ConfigInvalidError(
        `The ${what} is not valid: expected ${expected}${path === '' ? '' : ` at ${path}`}.`,
      );
    };
    if (depth > MAX_DEPTH) fail(`at most ${MAX_DEPTH} levels`);
    switch (typeof part) {
      case 'string':
      case 'boolean':
        return;
      case 'number':
        if (!Number.isFinite(part)) fail('a finite number');
        return;
      case 'object':
        break;
      default:
        fail(`JSON and not a value of type ${typeof part}`);
    }
    if (part === null) return;
    if (Array.isArray(part)) {
      for (const [index, each] of part.entries()) check(each, `${path}[${index}]`, depth + 1);
      return;
    }
    const prototype: unknown = Object.getPrototypeOf(part);
    if (prototype !== Object.prototype && prototype !== null) fail('a plain object');
    for (const [key, each] of Object.entries(part as object)) {
      if (key === '__proto__') fail('no property named __proto__');
      if (each !== undefined) check(each, path === '' ? key : `${path}.${key}`, depth + 1);
    }
  }
}

/** A copy of what {@link expectJson} has let pass. By way of its text: a structured clone does not take the proxies of state libraries. */
export function copyOf<T extends Json>(json: T): T {
  return JSON.parse(JSON.stringify(json)) as T;
}

/**
 * The value under its schema, frozen all through. Throws ConfigInvalidError whose message names the paths, never the values: it goes
 * into logs and rollout reports. What the schema says of each is in its cause, since some schemas quote the value there.
 */
export function validate<T>(
  what: string,
  schema: StandardSchema<unknown, T> | undefined,
  value: Json,
): DeepReadonly<T> {
  if (schema === undefined) return deepFreeze(value) as DeepReadonly<T>;
  let result;
  try {
    result = schema['~standard'].validate(value);
  } catch (error) {
    throw new ConfigInvalidError(`The ${what} is not valid: its schema threw.`, { cause: error });
  }
  if (result instanceof Promise) {
    result.catch(() => {});
    throw new TypeError(`Expected the schema of the ${what} to be synchronous: config is read without waiting`);
  }
  if (result.issues !== undefined) {
    const paths = result.issues.map((issue) => pathOf(issue) || 'the top');
    const said = result.issues.map(({ message }, index) => `${paths[index]}: ${message}`);
    throw new ConfigInvalidError(`The ${what} is not valid under its schema at ${[...new Set(paths)].join(', ')}.`, {
      cause: new Error(said.join('; ')),
    });
  }
  return deepFreeze(result.value) as DeepReadonly<T>;
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) deepFreeze(part);
  return value;
}
