/** What comes from elsewhere: from callers without types, and from whoever else writes into the same etcd or on the same disk. */
import * as fc from 'fast-check';

/** Whatever JavaScript has, the hostile among it. */
export const anything: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 8, arbitrary: everyKindOfValue() },
  {
    weight: 1,
    arbitrary: fc.constantFrom<unknown>(Symbol('x'), () => 'x', Map, new Proxy({}, {}), new Error('x')),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<unknown>(
      0,
      -0,
      -1,
      1.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      2 ** 53,
      '',
      ' ',
      '5',
      [],
      {},
      null,
    ),
  },
);

/** Valid options with one of them replaced by anything, and its name. */
export function withOneReplaced(valid: object): fc.Arbitrary<readonly [options: object, name: string]> {
  return fc
    .tuple(fc.constantFrom(...Object.keys(valid)), anything)
    .map(([name, value]) => [{ ...valid, [name]: value }, name] as const);
}

/** Text that stands where one of `valid` should: noise, other JSON, and valid text that was cut, changed or mixed with something. */
export function storedText(...valid: readonly object[]): fc.Arbitrary<string> {
  const one = fc.constantFrom(...valid);
  const json = fc.jsonValue({ maxDepth: 3 });
  const poisoned = fc.constantFrom('__proto__', 'constructor', 'toString', 'toJSON');
  return fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.uint8Array().map((bytes) => Buffer.from(bytes).toString()),
    fc.json(),
    one.map((each) => JSON.stringify(each)),
    fc.tuple(one, fc.nat(), fc.nat(), fc.string()).map(([each, at, length, text]) => {
      const whole = JSON.stringify(each);
      const from = at % (whole.length + 1);
      return `${whole.slice(0, from)}${text}${whole.slice(from + (length % 8))}`;
    }),
    fc.tuple(one, fc.nat(), json).map(([each, at, value]) => {
      const keys = Object.keys(each);
      return JSON.stringify({ ...each, [keys[at % keys.length] ?? '']: value });
    }),
    /* As text: an object literal would take `__proto__` for its prototype, which JSON.parse does not. */
    fc
      .tuple(one, poisoned, json)
      .map(([each, key, value]) => `{"${key}":${JSON.stringify(value)},${JSON.stringify(each).slice(1)}`),
    one.map((each) => `{"__proto__":{"polluted":true},${JSON.stringify(each).slice(1)}`),
  );
}

/** Whether what was read has reached beyond itself: into the prototype of all objects, or into its own. */
export function isPolluted(read: unknown): boolean {
  const all = {} as { readonly polluted?: unknown };
  return (
    all.polluted !== undefined || (read as { readonly polluted?: unknown } | null | undefined)?.polluted !== undefined
  );
}

function everyKindOfValue(): fc.Arbitrary<unknown> {
  return fc.anything({
    maxDepth: 2,
    withBigInt: true,
    withBoxedValues: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withNullPrototype: true,
    withObjectString: true,
    withSparseArray: true,
    withTypedArray: true,
  });
}
