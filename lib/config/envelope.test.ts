import test from 'ava';
import * as fc from 'fast-check';
import { ConfigInvalidError } from '../errors.ts';
import type { KeyValue } from '../store/store.ts';
import { isPolluted, storedText } from '../testing/arbitraries.ts';
import { seal, unseal, versionOf } from './envelope.ts';

/** The names of all properties, at every depth. */
function namesOf(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, each]) => [name, ...namesOf(each)]);
}

const stored = (value: string): KeyValue => ({
  key: 'k',
  value,
  createRevision: 5n,
  modRevision: 6n,
  version: 1n,
  lease: 0n,
});

test('what is sealed is unsealed, whatever JSON it is', (t) => {
  /* JSON has no -0, and a `__proto__` is refused before it is sealed. */
  const json = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as never);
  fc.assert(
    fc.property(fc.integer({ min: 1 }), json, fc.string(), (version, value, by) => {
      fc.pre(!namesOf(value).includes('__proto__'));
      t.deepEqual(unseal(stored(seal({ version, value, by }))), { version, value, by });
    }),
  );
});

const foreign = [
  '',
  'null',
  '7',
  '[]',
  '{}',
  '{"version":1}',
  '{"version":"1","value":1}',
  '{"version":1.5,"value":1}',
];
for (const text of [
  ...foreign,
  '{"version":0,"value":1}',
  '{"version":-1,"value":1}',
  '{"version":9e15,"value":1e999}',
]) {
  test(`what somebody else has put there is no envelope: ${text}`, (t) => {
    t.throws(() => unseal(stored(text)), { instanceOf: ConfigInvalidError });
  });
}

test('what stands under a config is an envelope or a ConfigInvalidError that names key and revision, whatever it is', (t) => {
  const valid = { version: 3, by: 'one', value: { perMinute: 10, hosts: ['a', null, 1.5] } };
  const around = storedText(valid.value).map((value) => `{"version":3,"by":"one","value":${value}}`);
  fc.assert(
    fc.property(fc.oneof(storedText(valid), around), (text) => {
      try {
        const { version, value, by } = unseal(stored(text));
        t.true(Number.isSafeInteger(version) && version > 0 && value !== undefined && typeof by === 'string');
        t.false(namesOf(value).includes('__proto__'));
        t.is(versionOf(stored(text)), version);
        t.false(isPolluted(value));
      } catch (error) {
        if (!(error instanceof ConfigInvalidError)) throw error;
        t.regex(error.message, /^The config under k at revision 6 is not /);
        t.is(versionOf(stored(text)), undefined);
      }
      t.false(isPolluted(undefined));
    }),
    { numRuns: 1_000 },
  );
});
