import {
  AccessDeniedError,
  ClosedError,
  LockLostError,
  LockTimeoutError,
  PartitionCountError,
  PartitionMovedError,
  WorkStuckError,
} from '../errors.ts';
import { Contest, type ContestContext } from '../queue/contest.ts';
import { sealMember, type Member } from '../registry/member.ts';
import type { Registration } from '../registry/registration.ts';
import type { Registry } from '../registry/registry.ts';
import { linkSignals } from '../runtime/abort.ts';
import { DeadlineReached, settledWithin } from '../runtime/deadline.ts';
import { asPublicError } from '../store/store-error.ts';
import { Assignment, COUNT, dissenter, LEAVING } from './assignment.ts';
import { Claim, type PartitionWork } from './claim.ts';

/** Whose partitions, and how they are counted. */
export interface PartitionsIdentity {
  readonly name: string;
  readonly count: number;
  /** Who we are among the members. */
  readonly instanceId: string;
}

/**
 * One `own`, from its beginning to its end.
 *
 * 1. register: among the members, with how many partitions we count.
 * 2. follow: who is there decides what falls to whom, by rendezvous hashing; nobody is asked.
 * 3. claim: what falls to us is queued for, each partition in a wait queue of its own. So it does not matter that others may know of other
 *    members for a moment: whoever had a partition ends its work first, and gives it up.
 * 4. give up: what falls to somebody else by now is taken from its work, which is waited for.
 * 5. leave: say that we are on our way out, so that others queue up; end all work; then go.
 */
export class Ownership {
  readonly #context: ContestContext;
  readonly #identity: PartitionsIdentity;
  readonly #registry: Registry;
  readonly #work: PartitionWork;
  readonly #drainMs: number;
  readonly #assignment: Assignment;
  readonly #claims = new Map<number, Claim>();
  readonly #failed = new AbortController();
  #assigned: ReadonlySet<number> = new Set();

  constructor(
    context: ContestContext,
    identity: PartitionsIdentity,
    registry: Registry,
    work: PartitionWork,
    { drainMs }: { readonly drainMs: number },
  ) {
    this.#context = context;
    this.#identity = identity;
    this.#registry = registry;
    this.#work = work;
    this.#drainMs = drainMs;
    this.#assignment = new Assignment(identity.count);
  }

  /** The partitions that fall to us, as far as we know who is there. */
  get assigned(): readonly number[] {
    return [...this.#assigned];
  }

  get owned(): readonly number[] {
    return [...this.#claims.values()].filter(({ isOwned }) => isOwned).map(({ partition }) => partition);
  }

  /** Goes on until the signal aborts, the coordinator closes, or something that will not mend; rejects with that. */
  async run(caller: AbortSignal | undefined): Promise<never> {
    const registration = this.#register();
    const { signal, unlink } = linkSignals(caller, this.#context.queue.closing, this.#failed.signal);
    void this.#expectAccess(registration, signal).catch(() => {});
    void this.#expectReading(signal);
    const reason = await this.#follow(signal);
    unlink();
    await this.#leave(registration, reason);
    throw reason;
  }

  #register(): Registration {
    const { instanceId } = this.#identity;
    try {
      /* It has to be able to say at its end that it leaves, which takes more room. */
      sealMember({ instanceId, address: instanceId, metadata: this.#metadata({ isLeaving: true }) });
      return this.#registry.register({ address: instanceId, metadata: this.#metadata() });
    } catch (error) {
      void this.#registry.close();
      throw error;
    }
  }

  /** Waiting mends no refusal. */
  async #expectAccess(registration: Registration, signal: AbortSignal): Promise<void> {
    for await (const { state } of registration.watch({ signal })) {
      const { refusal } = registration;
      if (state !== 'joining' || refusal === undefined) continue;
      this.#failed.abort(asPublicError(refusal, `own partitions of ${JSON.stringify(this.#identity.name)}`));
    }
  }

  /** Whoever may not read who is there would be a member and own nothing, and keep others from its share. */
  async #expectReading(signal: AbortSignal): Promise<void> {
    try {
      await this.#registry.ready({ timeoutMs: Number.MAX_SAFE_INTEGER, signal });
    } catch (error) {
      if (error instanceof AccessDeniedError) this.#failed.abort(error);
    }
  }

  #metadata({ isLeaving = false } = {}): Readonly<Record<string, string>> {
    return { [COUNT]: String(this.#identity.count), ...(isLeaving ? { [LEAVING]: 'true' } : {}) };
  }

  /** 2. Resolves with why it ended. */
  async #follow(signal: AbortSignal): Promise<unknown> {
    try {
      for await (const { members } of this.#registry.watch({ signal })) this.#take(members);
      return new ClosedError('The coordinator is closed.');
    } catch (error) {
      return error;
    }
  }

  /** 3, 4 */
  #take(members: readonly Member[]): void {
    const { instanceId, count, name } = this.#identity;
    const other = dissenter(instanceId, members, count);
    if (other !== undefined) {
      throw new PartitionCountError(
        `Expected all members of the partitions ${JSON.stringify(name)} to count the same: ${count} here, and ` +
          `${other.metadata[COUNT] ?? 'none'} at ${other.instanceId}, which was there before. Nothing is owned here. To change the ` +
          'count, stop all members first.',
      );
    }
    this.#assigned = this.#assignment.of(instanceId, members);
    for (const [partition, claim] of this.#claims) {
      if (!this.#assigned.has(partition)) claim.stop(this.#moved(partition));
    }
    for (const partition of this.#assigned) if (!this.#claims.has(partition)) this.#claim(partition);
  }

  #claim(partition: number): void {
    const { runtime } = this.#context;
    const claim = new Claim(runtime, this.#contest(partition), partition, this.#work, { drainMs: this.#drainMs });
    this.#claims.set(partition, claim);
    const over = (): void => {
      this.#claims.delete(partition);
      /* It may have come back to us while its work was still on its way out. */
      if (this.#assigned.has(partition)) this.#claim(partition);
    };
    claim.ended.then(over, (error: unknown) => {
      this.#claims.delete(partition);
      this.#failed.abort(error);
    });
  }

  /** 5. Nothing is taken back under running work: then it is the lease's end that does it, or the work's. */
  async #leave(registration: Registration, reason: unknown): Promise<void> {
    const { runtime } = this.#context;
    const { name } = this.#identity;
    this.#assigned = new Set();
    registration.update(this.#metadata({ isLeaving: true }));
    const claims = [...this.#claims.values()];
    for (const claim of claims) claim.stop(reason instanceof Error ? reason : new Error(String(reason)));
    const ended = Promise.allSettled(claims.map((claim) => claim.ended));
    /* Where nobody is told of it any more, it goes on in the background, and in the worst case the lease's end does it. */
    const left = ended
      .then(() => registration.leave())
      .then(
        () => this.#registry.close(),
        () => this.#registry.close(),
      );
    try {
      await settledWithin(runtime.clock, this.#drainMs, ended);
    } catch (error) {
      if (!(error instanceof DeadlineReached)) throw error;
      const stuck = claims.filter(({ isWorking }) => isWorking).map(({ partition }) => partition);
      /* The work has ended, and etcd does not answer: what is left goes on in the background. */
      if (stuck.length === 0) return;
      throw new WorkStuckError(
        `The work on the partitions ${stuck.join(', ')} of ${JSON.stringify(name)} was told to stop and still ran ${this.#drainMs} ms ` +
          'later. What is still owned is kept until it ends. Let the work listen to held.signal.',
        { cause: reason },
      );
    }
    if (!this.#context.queue.closing.aborted) await left;
  }

  #moved(partition: number): PartitionMovedError {
    return new PartitionMovedError(
      `The partition ${partition} of ${JSON.stringify(this.#identity.name)} is to go to another member. It is held until this work ends: ` +
        'finish or put down what is under way.',
    );
  }

  #contest(partition: number): Contest {
    const { name } = this.#identity;
    const shown = `partition ${partition} of ${JSON.stringify(name)}`;
    return new Contest(this.#context, {
      prefix: `${this.#context.keyspace.queue('partition', name)}${partition}/`,
      name: shown,
      value: '',
      watchAfterMs: 0,
      isForShort: false,
      handoffMs: 0,
      lossOf: (reason) =>
        new LockLostError(
          `The ${shown} is not owned any more: ${reason.message}. Stop the work; unguarded writes may conflict.`,
          { cause: reason },
        ),
      timeoutOf: (waitedMs) => new LockTimeoutError(`The ${shown} was somebody else's for all of the ${waitedMs} ms.`),
    });
  }
}
