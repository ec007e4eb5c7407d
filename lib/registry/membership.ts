import type { Replica } from '../replica/replica.ts';
import { sourceOf, type Source } from '../replica/staleness.ts';
import type { Member } from './member.ts';

/** Who is there, as it was at a revision. Age and source are computed when they are read. */
export class Membership {
  /** In the order of their addresses. */
  readonly members: readonly Member[];
  /** Of the store, at which they were the members. */
  readonly revision: bigint;
  readonly #replica: Replica;

  /** @internal */
  constructor(replica: Replica, members: readonly Member[], revision: bigint) {
    this.#replica = replica;
    this.members = members;
    this.revision = revision;
  }

  /** Milliseconds since that was last proved to be all of them; infinite if it never was. */
  get ageMs(): number {
    return this.#replica.ageMs();
  }

  /** How it is known. */
  get source(): Source {
    return sourceOf(this.#replica);
  }

  /** With the revision as decimal text, since JSON has no bigint. */
  toJSON(): Record<string, unknown> {
    const { members, revision, ageMs, source } = this;
    return { members, revision: revision.toString(), ageMs, source };
  }
}
