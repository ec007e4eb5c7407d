import { createHash } from 'node:crypto';
import type { Machine } from './machine.ts';

/** What a worker asked of its coordinator. */
export type Verb =
  | 'acquire'
  | 'try'
  | 'shared try'
  | 'with'
  | 'all'
  | 'release'
  | 'inspect'
  | 'campaign'
  | 'lead'
  | 'proclaim'
  | 'resign'
  | 'leader'
  | 'own'
  | 'leave'
  | 'put'
  | 'delete'
  | 'read'
  | 'set'
  | 'update'
  | 'once'
  | 'forget'
  | 'stop'
  | 'close'
  | 'probe';

/** What a holder was given: a held lock, or a leadership. */
export interface Possession {
  readonly token: bigint;
  readonly signal: AbortSignal;
  isHeld(): boolean;
}

/** One call of the public face, from its start to its end. Times are the world's, in milliseconds. */
export interface Operation {
  readonly id: number;
  readonly machine: Machine;
  readonly verb: Verb;
  /** The queues that it is about: `lock/a`, `election/e`. */
  readonly queues: readonly string[];
  readonly startedAtMs: number;
  /** When it has to have settled, if its machine runs all the time; `undefined`: whenever the lock is free. */
  dueAtMs: number | undefined;
  settledAtMs: number | undefined;
  outcome: string;
}

/** What an acquire or a campaign returned, for as long as anybody could still take it for held. */
export interface Hold {
  readonly id: number;
  readonly machine: Machine;
  readonly queue: string;
  readonly held: Possession;
  /** The create revision in its token. */
  readonly revision: bigint;
  readonly startedAtMs: number;
  readonly grantedAtMs: number;
  releasedAtMs: number | undefined;
  /** `isHeld()` has once said no. */
  ended: boolean;
  /** Somebody took the key away by hand, or etcd was restored: the holder cannot know before it is told. */
  doomed: boolean;
}

/** What happened, in order. The same seed gives the same lines. */
export class History {
  readonly lines: string[] = [];
  readonly operations: Operation[] = [];
  readonly holds: Hold[] = [];
  readonly violations: string[] = [];
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  note(who: string, what: string): void {
    this.lines.push(`${this.#nowMs().toFixed(0).padStart(7)} ${who.padEnd(4)} ${what}`);
  }

  violate(claim: string, details: string): void {
    this.violations.push(`${claim}: ${details}`);
    this.note('!', `${claim}: ${details}`);
  }

  begin(machine: Machine, verb: Verb, queues: readonly string[], withinMs?: number): Operation {
    const startedAtMs = this.#nowMs();
    const operation: Operation = {
      id: this.operations.length,
      machine,
      verb,
      queues,
      startedAtMs,
      dueAtMs: withinMs === undefined ? undefined : startedAtMs + withinMs,
      settledAtMs: undefined,
      outcome: 'pending',
    };
    this.operations.push(operation);
    this.note(
      machine.name,
      `#${operation.id} ${verb} ${queues.join('+')}${withinMs === undefined ? '' : ` within ${withinMs}`}`,
    );
    return operation;
  }

  end(operation: Operation, outcome: string): void {
    operation.settledAtMs = this.#nowMs();
    operation.outcome = outcome;
    this.note(operation.machine.name, `#${operation.id} ${operation.verb}: ${outcome}`);
  }

  /** A digest of every line: two runs of one seed have the same. */
  hash(): string {
    return createHash('sha256').update(this.lines.join('\n')).digest('hex').slice(0, 16);
  }
}
