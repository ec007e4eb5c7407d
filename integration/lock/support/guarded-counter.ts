import { memoryGuard } from '../../../lib/guards/memory.ts';
import { StaleTokenError } from '../../../lib/index.ts';
import { type ClientProcess } from './client-process.ts';
import { type Question } from './messages.ts';

/** A counter that lives in a third place, away from etcd and from its clients, and may have a guard before it. */
export class GuardedCounter {
  value = 0;
  /** The token of every write that was accepted, in their order. */
  readonly accepted: bigint[] = [];
  refusals = 0;
  /** The greatest token that was seen. */
  highest = 0n;
  /** Told of every read that is about to be answered. */
  onRead: (client: ClientProcess, token: bigint) => void = () => {};
  readonly #guard: ReturnType<typeof memoryGuard> | undefined;

  constructor({ guarded = true }: { readonly guarded?: boolean } = {}) {
    this.#guard = guarded ? memoryGuard() : undefined;
  }

  /** A read is the first step of a read-modify-write; the guard sees the token there already. */
  ask(client: ClientProcess, question: Question): number | undefined {
    this.#check(question.token);
    if (question.kind === 'read') {
      this.onRead(client, question.token);
      return this.value;
    }
    this.accepted.push(question.token);
    this.value = question.value;
    return undefined;
  }

  #check(token: bigint): void {
    try {
      this.#guard?.check('counter', token);
    } catch (error) {
      if (error instanceof StaleTokenError) this.refusals += 1;
      throw error;
    }
    if (token > this.highest) this.highest = token;
  }
}
