import test from 'ava';
import {
  AccessDeniedError,
  ConfigInvalidError,
  CoordinationUnavailableError,
  JobPausedError,
  LeadershipLostError,
  LimitExceededError,
  LockLostError,
  LockTimeoutError,
  OutcomeUnknownError,
  VersionConflictError,
} from '../errors.ts';
import { NothingThereError, UsageError } from './command.ts';
import { exitCodeOf } from './exit-codes.ts';

const codes: readonly (readonly [error: unknown, code: number])[] = [
  [new NothingThereError('no entry'), 1],
  [new VersionConflictError('another version'), 1],
  [new JobPausedError('paused'), 1],
  [new ConfigInvalidError('no config'), 1],
  [new LimitExceededError('too large'), 1],
  [new UsageError('which?'), 64],
  [new TypeError('no name'), 64],
  [new RangeError('too many'), 64],
  [new CoordinationUnavailableError('silence'), 69],
  [new Error('a mistake of ours'), 70],
  ['thrown', 70],
  [new OutcomeUnknownError('sent'), 74],
  [new LockTimeoutError('held'), 75],
  [new LockLostError('lost'), 76],
  [new LeadershipLostError('lost'), 76],
  [new AccessDeniedError('who?'), 77],
];
for (const [error, code] of codes) {
  test(`${String(error)} ends a command with ${code}`, (t) => {
    t.is(exitCodeOf(error), code);
  });
}
