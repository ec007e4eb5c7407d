/**
 * Checks of what callers pass in. Each throws at once, before any call is made, and says which option, what was expected and what
 * came: a wrong argument is never corrected silently.
 */
import { LimitExceededError } from './errors.ts';

/** Milliseconds, a finite number of at least `least`. */
export function expectDuration(option: string, value: number, least = 0): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < least) {
    throw new RangeError(
      `Expected ${option} to be milliseconds, a finite number of at least ${least}, got ${show(value)}`,
    );
  }
  return value;
}

export function expectWholeNumber(option: string, value: number, least: number, most: number): number {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`Expected ${option} to be a whole number from ${least} to ${most}, got ${show(value)}`);
  }
  return value;
}

/** A revision of etcd's; 0 stands for what was never written. */
export function expectRevision(option: string, value: bigint): void {
  if (typeof value !== 'bigint') throw new TypeError(`Expected ${option} to be a bigint, got ${show(value)}`);
  if (value < 0n)
    throw new RangeError(`Expected ${option} to be a revision, which is not negative, got ${show(value)}`);
}

export function expectText(option: string, value: string): string {
  if (typeof value !== 'string' || value === '') {
    throw new TypeError(`Expected ${option} to be text that is not empty, got ${show(value)}`);
  }
  return value;
}

/** etcd refuses requests of more than 1.5 MiB by default; the key and what is compared need some of it. */
const MAX_VALUE_BYTES = 1_500_000;

/** Text that etcd will keep just as it is. Throws a TypeError, or LimitExceededError for what etcd would refuse as too large. */
export function expectValue(option: string, value: string): string {
  if (typeof value !== 'string') throw new TypeError(`Expected ${option} to be text, got ${show(value)}`);
  const bytes = Buffer.byteLength(value);
  if (bytes > MAX_VALUE_BYTES) {
    throw new LimitExceededError(
      `Expected ${option} to be at most ${MAX_VALUE_BYTES} bytes of UTF-8, got ${bytes}. Nothing was sent.`,
    );
  }
  if (/\p{Surrogate}/u.test(value)) {
    throw new TypeError(`Expected ${option} to be well-formed Unicode, got a lone surrogate in ${show(value)}`);
  }
  return value;
}

export function expectSignal(value: AbortSignal | undefined): AbortSignal | undefined {
  if (value !== undefined && !(value instanceof AbortSignal)) {
    throw new TypeError(`Expected signal to be an AbortSignal, got ${show(value)}`);
  }
  return value;
}

export function expectBoolean(option: string, value: boolean): void {
  if (typeof value !== 'boolean') throw new TypeError(`Expected ${option} to be true or false, got ${show(value)}`);
}

export function expectFunction(option: string, value: unknown): void {
  if (typeof value !== 'function') throw new TypeError(`Expected ${option} to be a function, got ${show(value)}`);
}

/** Throws a TypeError for options that nobody reads: a misspelt `timeoutMs` must not become "wait for ever". */
export function expectOptions<T extends object>(
  what: string,
  options: T | undefined,
  known: readonly (keyof T & string)[],
): void {
  if (options === undefined) return;
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TypeError(`Expected the options of ${what} to be an object, got ${show(options)}`);
  }
  const unknown = Object.keys(options).find((key) => !(known as readonly string[]).includes(key));
  if (unknown !== undefined) {
    throw new TypeError(
      `Expected the options of ${what} to be among ${known.join(', ')}, got ${JSON.stringify(unknown)}`,
    );
  }
}

/** Of options of which one has no default: none at all are refused as well. */
export function expectGivenOptions<T extends object>(
  what: string,
  options: T,
  known: readonly (keyof T & string)[],
): void {
  if (options === undefined) throw new TypeError(`Expected the options of ${what} to be an object, got undefined`);
  expectOptions(what, options, known);
}

/** A value for an error message: short, and telling text from numbers. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (value === null || typeof value !== 'object') return String(value);
  const name: unknown = value.constructor?.name;
  return `an object of ${typeof name === 'string' && name !== '' ? name : 'no class'}`;
}
