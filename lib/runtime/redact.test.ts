import test from 'ava';
import * as fc from 'fast-check';
import { redact, redactText } from './redact.ts';

const PEM = '-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\n';

const secrets: readonly (readonly [name: string, value: unknown])[] = [
  ['password', 'hunter2'],
  ['etcdPassword', 'hunter2'],
  ['passwd', 'hunter2'],
  ['passphrase', 'hunter2'],
  ['clientSecret', 'hunter2'],
  ['api_key', 'hunter2'],
  ['API-KEY', 'hunter2'],
  ['Authorization', 'Bearer hunter2'],
  ['auth', 'root:hunter2'],
  ['authToken', 'hunter2.9'],
  ['token', 'hunter2'],
  ['cookie', 'sid=hunter2'],
  ['cert', PEM],
  ['ca', 'hunter2'],
  ['privateKey', 'hunter2'],
  ['key', PEM],
  ['anything', PEM],
  ['value', 'hunter2'],
  ['previousValue', { nested: 'hunter2' }],
  ['values', ['hunter2']],
  ['auth', { username: 'root', password: 'hunter2' }],
  ['tls', { ca: Buffer.from('hunter2'), key: Buffer.from('hunter2') }],
  ['list', [{ password: 'hunter2' }]],
  ['map', new Map([['password', 'hunter2']])],
  ['endpoint', 'https://root:hunter2@10.0.0.1:2379'],
  ['endpoints', ['http://root:hun@ter2@10.0.0.1', 'https://hunter2@host']],
  ['error', new Error('connect https://root:hunter2@10.0.0.1:2379 refused')],
  ['error', new Error('outer', { cause: { password: 'hunter2' } })],
  ['object', { toJSON: () => ({ value: 'hunter2' }) }],
];
for (const [index, [name, value]] of secrets.entries()) {
  test(`no secret of the field ${name} is written (${index})`, (t) => {
    const text = JSON.stringify(redact({ [name]: value }));
    t.notRegex(text, /hunter2|MHcCAQEE|ter2/);
  });
}

const kept: readonly (readonly [name: string, value: unknown, expected: unknown])[] = [
  ['token', 9_223_372_036_854_775_807n, '9223372036854775807'],
  ['token', '8796093030400', '8796093030400'],
  ['highest', 1n, '1'],
  ['key', 'holdfast/lock/invoice:42/', 'holdfast/lock/invoice:42/'],
  ['endpoint', 'http://10.0.0.1:2379/a@b', 'http://10.0.0.1:2379/a@b'],
  ['username', 'root', 'root'],
  ['password', undefined, undefined],
  ['password', null, null],
  ['intervalMs', 5_000, 5_000],
  ['ageMs', Number.NaN, 'NaN'],
  ['held', true, true],
  ['at', new Date(0), '1970-01-01T00:00:00.000Z'],
  ['bytes', Buffer.alloc(3), '[3 bytes]'],
  ['work', () => 1, undefined],
  ['set', new Set([1n]), ['1']],
];
for (const [name, value, expected] of kept) {
  test(`the field ${name} of type ${typeof value} (${String(value)}) is written as ${JSON.stringify(expected)}`, (t) => {
    t.deepEqual(redact({ [name]: value })[name], expected);
  });
}

test('an error is written with name, code, message and cause', (t) => {
  const error = Object.assign(new TypeError('outer', { cause: new Error('inner') }), { code: 'STALE_TOKEN' });
  t.deepEqual(redact({ error }), {
    error: { name: 'TypeError', code: 'STALE_TOKEN', message: 'outer', cause: { name: 'Error', message: 'inner' } },
  });
});

test('a field named __proto__ stays a field', (t) => {
  const result = redact(JSON.parse('{"__proto__": {"admin": true}}') as object);
  t.is(Object.getPrototypeOf(result), Object.prototype);
  t.deepEqual(Object.keys(result), ['__proto__']);
});

test('cycles, long texts and long lists come out bounded', (t) => {
  const cycle: Record<string, unknown> = {
    text: 'x'.repeat(1_000_000),
    list: Array.from({ length: 10_000 }, () => 1n),
  };
  cycle['self'] = cycle;
  t.true(JSON.stringify(redact(cycle)).length < 50_000);
});

test('a text that is no URL is kept, however it looks', (t) => {
  t.is(redactText('a@b, ://x@y'), 'a@b, ://x@y');
});

test('whatever the fields are, the result is JSON', (t) => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true })),
      (fields) => {
        /* JSON has no -0; all else comes back as it was. */
        const plain = JSON.stringify(redact(fields));
        t.is(JSON.stringify(JSON.parse(plain)), plain);
      },
    ),
  );
});
