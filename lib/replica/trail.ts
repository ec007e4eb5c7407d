import type { RangeRequest, RangeResponse, Span, WatchEvent } from '../store/store.ts';

/** A question for what a span has that is newer than what was applied when it was asked. */
export interface Question {
  readonly request: RangeRequest;
  readonly applied: bigint;
  readonly size: number;
}

/**
 * What an answer says of the replica. `waiting`: there are events on their way to it; whether they are all that is missing shows when
 * they have come.
 */
export type Verdict = 'proved' | 'refuted' | 'waiting';

interface Step {
  readonly revision: bigint;
  readonly events: readonly WatchEvent[];
  /** How many keys there were after it. */
  readonly size: number;
}

/**
 * The revisions that a replica applies while questions are open. An answer speaks of the span at one revision; events and answers travel
 * apart, so the replica may not be there yet, or may be past it already. In a span that is written to all the time it is one or the
 * other every time, and a replica that could only compare what it has at this moment would never be proved.
 */
export class Trail {
  #applied: bigint;
  #size: number;
  /** Since the oldest question that is open. */
  #steps: Step[] | undefined;
  #open = 0;

  /** A replica that holds so many keys, as of a revision. */
  constructor(applied: bigint, size: number) {
    this.#applied = applied;
    this.#size = size;
  }

  ask(span: Span): Question {
    const newest = { by: 'mod', order: 'descend' } as const;
    const request = { ...span, minModRevision: this.#applied + 1n, sort: newest, limit: 1, keysOnly: true };
    const question = { request, applied: this.#applied, size: this.#size };
    this.#open += 1;
    return question;
  }

  /** The events of one whole revision were applied. */
  step(revision: bigint, events: readonly WatchEvent[], size: number): void {
    this.#applied = revision;
    this.#size = size;
    if (this.#open === 0) return;
    this.#steps ??= [];
    this.#steps.push({ revision, events, size });
  }

  /**
   * As many keys, and the same one written last: what was applied up to the answer's revision was complete. A put that is missing would
   * be newer than the newest, and without one a delete that is missing makes a difference in number.
   */
  weigh(question: Question, answer: RangeResponse): Verdict {
    if (answer.revision < question.applied) return 'refuted';
    const written = new Map<string, bigint>();
    let { size } = question;
    for (const step of this.#steps ?? []) {
      if (step.revision <= question.applied) continue;
      if (step.revision > answer.revision) break;
      for (const event of step.events) {
        if (event.type === 'put') written.set(event.entry.key, event.entry.modRevision);
        else written.delete(event.key);
      }
      size = step.size;
    }
    let newest: bigint | undefined;
    for (const revision of written.values()) if (newest === undefined || revision > newest) newest = revision;
    if (size === answer.count && newest === answer.entries[0]?.modRevision) return 'proved';
    return this.#applied < answer.revision ? 'waiting' : 'refuted';
  }

  /** One of the questions is settled. */
  close(): void {
    this.#open -= 1;
    if (this.#open === 0) this.#steps = undefined;
  }
}
