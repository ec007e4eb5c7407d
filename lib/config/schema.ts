import { show } from '../arguments.ts';

/**
 * A schema as https://standardschema.dev defines it, version 1: what zod, valibot, arktype and others offer. Written down here, so that
 * no package is needed for it. Only synchronous schemas can be used: values are read on hot paths.
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** What a schema makes of a value: its output, or what is wrong with it. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** One thing that is wrong with a value, and where. */
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** Any value that JSON can carry. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export function expectSchema(schema: unknown): void {
  const standard = (schema as Partial<StandardSchema> | undefined)?.['~standard'];
  if (
    typeof standard !== 'object' ||
    standard === null ||
    standard.version !== 1 ||
    typeof standard.validate !== 'function'
  ) {
    throw new TypeError(
      `Expected schema to be a Standard Schema (zod, valibot, arktype, …), with \`~standard\` of version 1, got ${show(schema)}`,
    );
  }
}

/** Where an issue is, such as `limits.perMinute` or `hosts[2]`. */
export function pathOf(issue: SchemaIssue): string {
  let path = '';
  for (const part of issue.path ?? []) {
    const key = typeof part === 'object' ? part.key : part;
    path += typeof key === 'number' ? `[${key}]` : `${path === '' ? '' : '.'}${String(key)}`;
  }
  return path;
}
