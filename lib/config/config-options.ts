import { expectDuration, expectOptions, show } from '../arguments.ts';
import { expectSchema, type Json, type StandardSchema } from './schema.ts';
import { expectJson, validate, type DeepReadonly } from './value.ts';

export interface ConfigOptions<Input = Json, Output = Input> {
  /** What values must be: any synchronous Standard Schema. Without one they are any JSON. */
  readonly schema?: StandardSchema<Input, Output> | undefined;
  /** Stands for unknown and for absent alike, with version 0. What the schema takes. */
  readonly fallback?: Input | undefined;
  /**
   * How old an answer may be, in milliseconds. At least twice `freshnessMs`.
   * @default 30_000
   */
  readonly maxStalenessMs?: number | undefined;
  /**
   * What to do with what is older: serve it with its age, or throw TooStaleError.
   * @default 'serve'
   */
  readonly onStale?: 'serve' | 'throw' | undefined;
  /**
   * How often freshness is proved, in milliseconds.
   * @default 5_000
   */
  readonly freshnessMs?: number | undefined;
}

export interface CompleteConfigOptions<Output> {
  readonly schema: StandardSchema<unknown, Output> | undefined;
  readonly fallback: { readonly value: DeepReadonly<Output> } | undefined;
  readonly maxStalenessMs: number;
  readonly isStrict: boolean;
  readonly freshnessMs: number;
}

/** Completes the options. Throws a TypeError, RangeError, or ConfigInvalidError for a fallback that its own schema refuses. */
export function completeOptions<Input, Output>(
  name: string,
  options: ConfigOptions<Input, Output>,
): CompleteConfigOptions<Output> {
  expectOptions('config', options, ['schema', 'fallback', 'maxStalenessMs', 'onStale', 'freshnessMs']);
  if (options.schema !== undefined) expectSchema(options.schema);
  const schema = options.schema as StandardSchema<unknown, Output> | undefined;
  const freshnessMs = expectDuration('freshnessMs', options.freshnessMs ?? 5_000, 1);
  const maxStalenessMs = expectDuration(
    'maxStalenessMs',
    options.maxStalenessMs ?? Math.max(30_000, 2 * freshnessMs),
    1,
  );
  if (maxStalenessMs < 2 * freshnessMs) {
    throw new RangeError(`Expected maxStalenessMs >= 2 × freshnessMs, got ${maxStalenessMs} and ${freshnessMs}`);
  }
  const { onStale = 'serve' } = options;
  if (onStale !== 'serve' && onStale !== 'throw') {
    throw new TypeError(`Expected onStale to be 'serve' or 'throw', got ${show(onStale)}`);
  }
  return {
    schema,
    fallback: options.fallback === undefined ? undefined : { value: fallbackOf(name, schema, options.fallback) },
    maxStalenessMs,
    isStrict: onStale === 'throw',
    freshnessMs,
  };
}

function fallbackOf<Output>(
  name: string,
  schema: StandardSchema<unknown, Output> | undefined,
  fallback: unknown,
): DeepReadonly<Output> {
  const what = `fallback of config ${JSON.stringify(name)}`;
  expectJson(what, fallback);
  /* A copy: the caller's own object is not ours to freeze. */
  return validate(what, schema, structuredClone(fallback));
}
