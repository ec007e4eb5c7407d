import test from 'ava';
import {
  CallRefusedError,
  CoordinationUnavailableError,
  LockTimeoutError,
  OutcomeUnknownError,
  StaleTokenError,
  VersionConflictError,
} from '../errors.ts';
import { mayRepeat, verdictOf, type Verdict } from './verdict.ts';

function systemError(syscall: string, code: string): Error {
  return Object.assign(new Error(`${syscall} ${code}`), { syscall, code });
}

const refused = systemError('connect', 'ECONNREFUSED');
const reset = systemError('read', 'ECONNRESET');

const table: readonly (readonly [what: string, error: unknown, verdict: Verdict])[] = [
  ['a refused connection', refused, 'transient'],
  ['a name that is not found', systemError('getaddrinfo', 'ENOTFOUND'), 'transient'],
  ['a connection that timed out while it was made', systemError('connect', 'ETIMEDOUT'), 'transient'],
  ['fetch to a refused connection', new TypeError('fetch failed', { cause: refused }), 'transient'],
  ['several addresses, all refused', new AggregateError([refused, refused]), 'transient'],
  ['several addresses, one of which was reset', new AggregateError([refused, reset]), 'unknown'],
  ['no address at all', new AggregateError([]), 'unknown'],
  [
    "undici's connect timeout",
    new Error('x', { cause: Object.assign(new Error('x'), { code: 'UND_ERR_CONNECT_TIMEOUT' }) }),
    'transient',
  ],
  ['a connection that was lost', reset, 'unknown'],
  [
    'a lost connection because of a refused one',
    Object.assign(systemError('write', 'EPIPE'), { cause: refused }),
    'unknown',
  ],
  ['fetch on a lost connection', new TypeError('fetch failed', { cause: reset }), 'unknown'],
  ['an error of the work', new Error('any'), 'unknown'],
  ['what is no error', 'text', 'unknown'],
  ['nothing', undefined, 'unknown'],
  ['an outcome that is unknown', new OutcomeUnknownError('x'), 'unknown'],
  ['a call that another policy refused', new CallRefusedError('x', { reason: 'breaker' }), 'transient'],
  ['etcd is away', new CoordinationUnavailableError('x'), 'transient'],
  ['a lock is held', new LockTimeoutError('x'), 'transient'],
  ['a stale token', new StaleTokenError({ resource: 'a', token: 1n, highest: 2n }), 'permanent'],
  ['a version conflict', new VersionConflictError('x'), 'permanent'],
];
for (const [what, error, verdict] of table) {
  test(`${what} is ${verdict}`, (t) => t.is(verdictOf(error), verdict));
}

test('a chain of causes without an end is unknown', (t) => {
  const error = new Error('own tail');
  error.cause = error;
  t.is(verdictOf(error), 'unknown');
});

test('only what was not done for certain is repeated, and what is unknown if that does no harm', (t) => {
  const kinds = ['transient', 'unknown', 'permanent', 'refused', 'cancelled'] as const;
  t.deepEqual(
    kinds.map((kind) => mayRepeat(kind, false)),
    [true, false, false, false, false],
  );
  t.deepEqual(
    kinds.map((kind) => mayRepeat(kind, true)),
    [true, true, false, false, false],
  );
});
