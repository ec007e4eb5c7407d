import test from 'ava';
import * as fc from 'fast-check';
import { decodePath, Keyspace, askedAtOf, leaseHex, leaseOfQueueKey, queueSegment } from './keyspace.ts';

const names = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 });
const space = new Keyspace('billing');

test('plain names stay readable, as etcd’s own tools show them', (t) => {
  t.is(space.queue('lock', 'invoice:42'), 'billing/lock/invoice:42/');
  t.is(space.queue('election', 'a.b_c@d-e'), 'billing/election/a.b_c@d-e/');
  t.is(space.session(0xbeefn), 'billing/session/beef');
  t.is(space.epoch, 'billing/epoch');
});

test('a name comes back from its segment, whatever is in it', (t) => {
  fc.assert(
    fc.property(names, (name) => {
      const segment = space.queue('lock', name).split('/')[2] ?? '';
      t.regex(segment, /^[A-Za-z0-9._:@%-]+$/);
      t.is(decodePath(segment), name);
    }),
  );
});

test('two names never share a prefix, nor is one’s prefix within the other’s', (t) => {
  fc.assert(
    fc.property(names, names, (one, two) => {
      fc.pre(one !== two);
      t.false(space.queue('lock', one).startsWith(space.queue('lock', two)));
    }),
  );
  t.false(space.queue('lock', 'a/b').startsWith(space.queue('lock', 'a')));
  t.not(space.queue('lock', 'a/b'), space.queue('lock', 'a%2Fb'));
});

const refused: readonly (readonly [string, unknown])[] = [
  ['an empty name', ''],
  ['a number', 7],
  ['a lone surrogate', 'a\ud800'],
  ['more than 1,024 bytes', 'ü'.repeat(513)],
];
for (const [what, name] of refused) {
  test(`${what} is no name`, (t) => {
    t.throws(() => space.queue('lock', name as string), { instanceOf: TypeError, message: /the name of the lock/ });
  });
}

test('a namespace has no slash, so that none lies within another', (t) => {
  t.throws(() => new Keyspace('a/b'), { instanceOf: TypeError, message: /namespace/ });
  t.throws(() => new Keyspace(''), { instanceOf: TypeError });
});

test('a lease is read from the keys of this package and of etcd’s Go clients, and from nothing else', (t) => {
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }), (lease) => {
      t.is(leaseOfQueueKey(`billing/lock/a/${leaseHex(lease)}-nonce`), lease);
      t.is(leaseOfQueueKey(`billing/lock/a/${leaseHex(lease)}`), lease);
    }),
  );
  t.is(leaseOfQueueKey('billing/lock/a/no lease'), undefined);
  t.is(leaseOfQueueKey('billing/lock/a/12345678901234567'), undefined);
});

test('a segment that nobody encoded comes back as it is', (t) => {
  t.is(decodePath('a/100%'), 'a/100%');
});

test('a queue key says whose it is and when it was asked for', (t) => {
  const wallMs = Date.UTC(2026, 0, 2, 3, 4, 5);
  const key = `billing/lock/a/${queueSegment(0xabcn, wallMs, 123n)}`;
  t.is(leaseOfQueueKey(key), 0xabcn);
  t.is(askedAtOf(key), wallMs);
  t.is(askedAtOf('billing/lock/a/abc'), undefined);
});
