import test from 'ava';
import {
  AccessDeniedError,
  ClosedError,
  CoordinationUnavailableError,
  LimitExceededError,
  OutcomeUnknownError,
  RevisionRegressedError,
} from '../errors.ts';
import { asPublicError, isWorthRepeating, StoreError, type Outcome, type StoreFailure } from './store-error.ts';

const table: readonly (readonly [StoreFailure, Outcome, new (...args: never[]) => Error])[] = [
  ['denied', 'permanent', AccessDeniedError],
  ['unauthenticated', 'permanent', AccessDeniedError],
  ['tls', 'permanent', CoordinationUnavailableError],
  ['quota', 'permanent', CoordinationUnavailableError],
  ['too-large', 'permanent', LimitExceededError],
  ['regressed', 'unknown', RevisionRegressedError],
  ['closed', 'permanent', ClosedError],
  ['unreachable', 'transient', CoordinationUnavailableError],
  ['timeout', 'unknown', OutcomeUnknownError],
  ['timeout', 'transient', CoordinationUnavailableError],
  ['cancelled', 'unknown', OutcomeUnknownError],
  ['overloaded', 'transient', CoordinationUnavailableError],
];
for (const [reason, outcome, expected] of table) {
  test(`callers see ${reason}, ${outcome}, as ${expected.name}, with its cause and what was tried`, (t) => {
    const cause = new StoreError(reason, outcome, 'the details');
    const error = asPublicError(cause, 'acquire lock "a"') as Error;
    t.true(error instanceof expected);
    t.is(error.cause, cause);
    t.regex(error.message, /acquire lock "a"/);
  });
}

test('what a caller may take for "not applied" is never of unknown outcome', (t) => {
  for (const reason of ['timeout', 'cancelled', 'unreachable', 'internal', 'overloaded'] as const) {
    t.false(asPublicError(new StoreError(reason, 'unknown', ''), 'put') instanceof CoordinationUnavailableError);
  }
});

test('other errors pass as they are', (t) => {
  const own = new TypeError('own');
  t.is(asPublicError(own, 'put'), own);
  t.is(asPublicError('text', 'put'), 'text');
});

test('what may come right by itself is worth repeating, and nothing else', (t) => {
  t.true(isWorthRepeating(new StoreError('unreachable', 'transient', '')));
  t.true(isWorthRepeating(new StoreError('timeout', 'unknown', '')));
  t.false(isWorthRepeating(new StoreError('denied', 'permanent', '')));
  t.false(isWorthRepeating(new Error('a bug')));
  t.false(isWorthRepeating(undefined));
});
