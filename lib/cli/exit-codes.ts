import {
  AccessDeniedError,
  CoordinationUnavailableError,
  HoldfastError,
  LeadershipLostError,
  LockLostError,
  LockTimeoutError,
  OutcomeUnknownError,
  VersionConflictError,
} from '../errors.ts';
import { NothingThereError, UsageError } from './command.ts';

/** What a command ends with, apart from what it ran. Those of sysexits.h where it has a word for it. */
export const EXIT = {
  ok: 0,
  /** It was found out, and the answer is no: there is no such entry, somebody else had another version. */
  no: 1,
  /** `EX_USAGE` */
  usage: 64,
  /** `EX_UNAVAILABLE`: etcd does not answer. Nobody knows who holds what. */
  outage: 69,
  /** `EX_SOFTWARE` */
  internal: 70,
  /** `EX_IOERR`: something was sent, and no answer came. */
  unknown: 74,
  /** `EX_TEMPFAIL`: somebody else holds it. etcd answers; try again later. */
  contention: 75,
  /** `EX_PROTOCOL`: it was held and lost while the command ran, which was ended. */
  lost: 76,
  /** `EX_NOPERM` */
  denied: 77,
} as const;

const CODES: readonly (readonly [abstract new (...args: never[]) => Error, number])[] = [
  [UsageError, EXIT.usage],
  [TypeError, EXIT.usage],
  [RangeError, EXIT.usage],
  [LockTimeoutError, EXIT.contention],
  [LockLostError, EXIT.lost],
  [LeadershipLostError, EXIT.lost],
  [CoordinationUnavailableError, EXIT.outage],
  [OutcomeUnknownError, EXIT.unknown],
  [AccessDeniedError, EXIT.denied],
  [NothingThereError, EXIT.no],
  [VersionConflictError, EXIT.no],
  [HoldfastError, EXIT.no],
];

export function exitCodeOf(error: unknown): number {
  return CODES.find(([type]) => error instanceof type)?.[1] ?? EXIT.internal;
}

/** For the help. */
export const EXIT_HELP: readonly (readonly [number, string])[] = [
  [EXIT.ok, 'done'],
  [EXIT.no, 'the answer is no: no such entry, another version'],
  [EXIT.usage, 'a mistake on the command line'],
  [EXIT.outage, 'etcd does not answer: nobody knows who holds what'],
  [EXIT.unknown, 'it was sent and not answered: it may be done, and may still come to be'],
  [EXIT.contention, 'somebody else holds it for all of --timeout; etcd answers'],
  [EXIT.lost, 'what was held was lost, and the command was ended before'],
  [EXIT.denied, 'etcd refuses the user'],
];
