import { expectOptions } from '../arguments.ts';
import { completeStaleness, type Staleness, type StalenessOptions } from '../replica/staleness.ts';
import { expectSchema, type Json, type StandardSchema } from './schema.ts';
import { copyOf, expectJson, validate, type DeepReadonly } from './value.ts';

/** What the values of a config are, and how old they may be. */
export interface ConfigOptions<Input = Json, Output = Input> extends StalenessOptions {
  /** What values must be: any synchronous Standard Schema. Without one they are any JSON. */
  readonly schema?: StandardSchema<Input, Output> | undefined;
  /** Stands for unknown and for absent alike, with version 0. What the schema takes. */
  readonly fallback?: Input | undefined;
}

export interface CompleteConfigOptions<Output> extends Staleness {
  readonly schema: StandardSchema<unknown, Output> | undefined;
  readonly fallback: { readonly value: DeepReadonly<Output> } | undefined;
}

/** Completes the options. Throws a TypeError, RangeError, or ConfigInvalidError for a fallback that its own schema refuses. */
export function completeOptions<Input, Output>(
  name: string,
  options: ConfigOptions<Input, Output>,
): CompleteConfigOptions<Output> {
  expectOptions('config', options, ['schema', 'fallback', 'maxStalenessMs', 'onStale', 'freshnessMs']);
  if (options.schema !== undefined) expectSchema(options.schema);
  const schema = options.schema as StandardSchema<unknown, Output> | undefined;
  return {
    schema,
    fallback: options.fallback === undefined ? undefined : { value: fallbackOf(name, schema, options.fallback) },
    ...completeStaleness(options),
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
  return validate(what, schema, copyOf(fallback));
}
