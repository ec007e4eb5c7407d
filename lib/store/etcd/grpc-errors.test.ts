import test from 'ava';
import type { Outcome, StoreFailure } from '../store-error.ts';
import { classify, isMemberSuspect, isStaleToken } from './grpc-errors.ts';

type Row = readonly [code: number, details: string, reason: StoreFailure, read: Outcome, write: Outcome];

const everyCode: readonly Row[] = [
  [0, '', 'internal', 'transient', 'unknown'],
  [1, '', 'unreachable', 'transient', 'unknown'],
  [2, '', 'internal', 'transient', 'unknown'],
  [3, '', 'invalid', 'permanent', 'permanent'],
  [4, '', 'timeout', 'transient', 'unknown'],
  [5, '', 'invalid', 'permanent', 'permanent'],
  [6, '', 'invalid', 'permanent', 'permanent'],
  [7, '', 'denied', 'permanent', 'permanent'],
  [8, '', 'overloaded', 'transient', 'unknown'],
  [9, '', 'invalid', 'permanent', 'permanent'],
  [10, '', 'internal', 'transient', 'unknown'],
  [11, '', 'invalid', 'permanent', 'permanent'],
  [12, '', 'invalid', 'permanent', 'permanent'],
  [13, '', 'internal', 'transient', 'unknown'],
  [14, '', 'unreachable', 'transient', 'unknown'],
  [15, '', 'internal', 'permanent', 'unknown'],
  [16, '', 'unauthenticated', 'permanent', 'permanent'],
  [17, '', 'internal', 'transient', 'unknown'],
];

const wordsOfEtcd: readonly Row[] = [
  [5, 'etcdserver: requested lease not found', 'lease-not-found', 'permanent', 'permanent'],
  [9, 'etcdserver: lease already exists', 'lease-exists', 'permanent', 'permanent'],
  [11, 'etcdserver: mvcc: required revision has been compacted', 'compacted', 'permanent', 'permanent'],
  [11, 'etcdserver: mvcc: required revision is a future revision', 'future-revision', 'permanent', 'permanent'],
  [8, 'etcdserver: mvcc: database space exceeded', 'quota', 'permanent', 'permanent'],
  [8, 'etcdserver: too many requests', 'overloaded', 'transient', 'transient'],
  [3, 'etcdserver: request is too large', 'too-large', 'permanent', 'permanent'],
  [3, 'etcdserver: too many operations in txn request', 'too-large', 'permanent', 'permanent'],
  [8, 'grpc: received message larger than max (2097200 vs. 2097152)', 'too-large', 'permanent', 'permanent'],
  [8, 'Attempted to send message with a size larger than 4194304', 'too-large', 'permanent', 'permanent'],
  [8, 'Received message larger than max (8388608 vs 4194304)', 'too-large', 'permanent', 'unknown'],
  [8, 'grpc: trying to send message larger than max (9 vs. 8)', 'too-large', 'permanent', 'unknown'],
  [3, 'etcdserver: duplicate key given in txn request', 'invalid', 'permanent', 'permanent'],
  [3, 'etcdserver: key is not provided', 'invalid', 'permanent', 'permanent'],
  [11, 'etcdserver: too large lease TTL', 'invalid', 'permanent', 'permanent'],
  [7, 'etcdserver: permission denied', 'denied', 'permanent', 'permanent'],
  [16, 'etcdserver: invalid auth token', 'unauthenticated', 'transient', 'transient'],
  [3, 'etcdserver: revision of auth store is old', 'unauthenticated', 'transient', 'transient'],
  [3, 'etcdserver: user name is empty', 'unauthenticated', 'permanent', 'permanent'],
  [3, 'etcdserver: authentication failed, invalid user ID or password', 'unauthenticated', 'permanent', 'permanent'],
  [14, 'etcdserver: no leader', 'unreachable', 'transient', 'transient'],
  [14, 'etcdserver: not capable', 'unreachable', 'transient', 'transient'],
  [14, 'etcdserver: leader changed', 'unreachable', 'transient', 'unknown'],
  [14, 'etcdserver: request timed out', 'unreachable', 'transient', 'unknown'],
  [14, 'etcdserver: request timed out, possibly due to previous leader failure', 'unreachable', 'transient', 'unknown'],
  [14, 'etcdserver: server stopped', 'unreachable', 'transient', 'unknown'],
  [14, 'Connection dropped', 'unreachable', 'transient', 'unknown'],
  [15, 'etcdserver: corrupt cluster', 'internal', 'permanent', 'permanent'],
];

for (const [code, details, reason, read, write] of [...everyCode, ...wordsOfEtcd]) {
  test(`code ${code} ${JSON.stringify(details)} is ${reason}: ${read} for a read, ${write} for a write`, (t) => {
    for (const [kind, outcome] of [
      ['read', read],
      ['write', write],
    ] as const) {
      const error = classify(kind, { code, details }, 'http://etcd:2379');
      t.like(error, { reason, outcome, grpcCode: code });
      t.true(error.message.includes(details) && error.message.includes('http://etcd:2379'));
    }
  });
}

test('a token is renewed when it expired, when roles changed, and when authentication was switched on', (t) => {
  const stale = wordsOfEtcd
    .filter(([code, details]) => isStaleToken({ code, details }, 'token'))
    .map(([, details]) => details);
  t.deepEqual(stale, [
    'etcdserver: invalid auth token',
    'etcdserver: revision of auth store is old',
    'etcdserver: user name is empty',
  ]);
  const denied = { code: 7, details: 'etcdserver: permission denied' };
  t.false(isStaleToken(denied, 'token'));
  t.true(isStaleToken(denied, undefined), 'who has a certificate is denied what its name may not do');
});

test('a member is suspected for silence and broken connections, not for refusing a call', (t) => {
  const suspect = (code: number, details = ''): boolean => isMemberSuspect(classify('read', { code, details }, ''));
  t.deepEqual(
    [4, 13, 14].map((code) => suspect(code)),
    [true, true, true],
  );
  t.deepEqual(
    [3, 7, 9, 16].map((code) => suspect(code)),
    [false, false, false, false],
  );
  t.false(suspect(8, 'etcdserver: mvcc: database space exceeded'));
});
