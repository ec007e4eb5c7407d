import {
  ClosedError,
  CoordinationUnavailableError,
  LeadershipLostError,
  LockLostError,
  LockTimeoutError,
  OutcomeUnknownError,
  RevisionRegressedError,
  VersionConflictError,
  WorkStuckError,
} from '../errors.ts';
import type { Operation, Verb } from './history.ts';
import type { Invariants } from './invariants.ts';
import type { Machine } from './machine.ts';
import type { World } from './world.ts';

/** The reason with which a worker takes its call back. */
export class TakenBack extends Error {
  override readonly name = 'TakenBack';
}

/** What each call may reject with. Anything else is a bug. */
const EXPECTED: Readonly<Record<Verb, readonly (new (...args: never[]) => Error)[]>> = {
  acquire: [LockTimeoutError, CoordinationUnavailableError, TakenBack, ClosedError],
  probe: [],
  try: [CoordinationUnavailableError, TakenBack, ClosedError],
  with: [LockTimeoutError, CoordinationUnavailableError, TakenBack, ClosedError, LockLostError],
  all: [LockTimeoutError, CoordinationUnavailableError, TakenBack, ClosedError, LockLostError],
  release: [OutcomeUnknownError],
  inspect: [CoordinationUnavailableError, ClosedError],
  campaign: [LockTimeoutError, CoordinationUnavailableError, TakenBack, ClosedError],
  lead: [TakenBack, ClosedError, WorkStuckError],
  proclaim: [LeadershipLostError, CoordinationUnavailableError, OutcomeUnknownError, ClosedError],
  resign: [OutcomeUnknownError],
  leader: [CoordinationUnavailableError, ClosedError],
  put: [
    VersionConflictError,
    CoordinationUnavailableError,
    OutcomeUnknownError,
    RevisionRegressedError,
    TakenBack,
    ClosedError,
  ],
  delete: [
    VersionConflictError,
    CoordinationUnavailableError,
    OutcomeUnknownError,
    RevisionRegressedError,
    ClosedError,
  ],
  read: [CoordinationUnavailableError, RevisionRegressedError, ClosedError],
  set: [
    VersionConflictError,
    CoordinationUnavailableError,
    OutcomeUnknownError,
    RevisionRegressedError,
    TakenBack,
    ClosedError,
  ],
  update: [
    VersionConflictError,
    CoordinationUnavailableError,
    OutcomeUnknownError,
    RevisionRegressedError,
    ClosedError,
  ],
  stop: [],
  close: [],
};

/** Calls of the public face, each from its start to its end, with what it may come to. */
export class Calls {
  readonly #world: World;
  readonly #invariants: Invariants;

  constructor(world: World, invariants: Invariants) {
    this.#world = world;
    this.#invariants = invariants;
  }

  async call<T>(
    machine: Machine,
    verb: Verb,
    queues: readonly string[],
    withinMs: number | undefined,
    act: (operation: Operation) => Promise<T>,
  ): Promise<T | undefined> {
    const { history } = this.#world;
    const operation = this.#invariants.begin(machine, verb, queues, withinMs);
    try {
      const result = await act(operation);
      this.#invariants.end(operation, result === undefined && verb === 'try' ? 'taken' : 'ok');
      return result;
    } catch (error) {
      if (!EXPECTED[verb].some((expected) => error instanceof expected)) {
        history.violate(`a ${verb} rejects only as documented`, `${machine.name} #${operation.id} ${String(error)}`);
      }
      this.#invariants.end(operation, error instanceof Error ? error.name : String(error));
      return undefined;
    }
  }

  async close(machine: Machine, drainMs: number): Promise<void> {
    machine.state = 'closing';
    /* What drains, then one attempt to revoke; see SessionKeeper.close. */
    const withinMs = drainMs + machine.options.timeoutMs;
    await this.call(machine, 'close', [], withinMs, () => machine.coordinator.close({ drainMs }));
    machine.state = 'closed';
  }

  /** A signal that takes the call back after a while. */
  takenBack(machine: Machine, afterMs: number | undefined): AbortSignal | undefined {
    if (afterMs === undefined) return undefined;
    const controller = new AbortController();
    machine.host.schedule(afterMs, () => controller.abort(new TakenBack('the worker took it back')));
    return controller.signal;
  }
}
