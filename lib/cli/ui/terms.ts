import type { SurveyedQueue } from '../../survey/survey.ts';
import { whoIs } from './portrait.ts';
import type { ShownElection, ShownTerm } from './view.ts';

/** Elections and terms that are remembered; those that ended first are forgotten. */
const MOST_ELECTIONS = 500;
const MOST_TERMS = 100;

/** After so long without a look, nobody knows since when whoever leads does. */
const LONGEST_PAUSE_MS = 5_000;

interface Course {
  readonly kind: string;
  readonly name: string;
  terms: readonly ShownTerm[];
}

/**
 * The terms of leaders, put together from looks. Of a leadership that begins and ends between two looks nothing is known; and that one goes on
 * from look to look is said by its token. A term lasts until it was last seen: who led while etcd was away, nobody saw.
 * A clock that is set back leaves no order to put them in: they are begun anew.
 */
export class Terms {
  readonly #courses = new Map<string, Course>();
  #lookedAtMs: number | undefined;
  #sinceMs: number | undefined;

  /** What a look saw. `nowMs`: when it was begun, by the clock here. */
  see(queues: readonly SurveyedQueue[], nowMs: number): void {
    if (this.#lookedAtMs === undefined || nowMs < this.#lookedAtMs) this.#begin(nowMs);
    const led = queues.filter(({ kind }) => kind === 'election' || kind === 'schedule');
    const ids = new Set(led.map(idOf));
    for (const [id, course] of this.#courses) if (!ids.has(id)) course.terms = this.#ended(course.terms);
    for (const queue of led) this.#follow(queue, nowMs);
    this.#forget();
    this.#lookedAtMs = nowMs;
  }

  /** Since when they are watched; `undefined`: not yet. */
  get sinceMs(): number | undefined {
    return this.#sinceMs;
  }

  get elections(): readonly ShownElection[] {
    return [...this.#courses.values()].toSorted((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
  }

  #begin(nowMs: number): void {
    this.#courses.clear();
    this.#lookedAtMs = undefined;
    this.#sinceMs = nowMs;
  }

  #follow(queue: SurveyedQueue, nowMs: number): void {
    const { kind, name, holders } = queue;
    const id = idOf(queue);
    const { terms = [] } = this.#courses.get(id) ?? {};
    const [leader] = holders;
    const last = terms.at(-1);
    if (leader === undefined) {
      this.#courses.set(id, { kind, name, terms: this.#ended(terms) });
      return;
    }
    const token = leader.token.toString();
    if (last?.token === token && last.toMs === undefined) return;
    const term = { who: whoIs(leader), token, fromMs: nowMs, isOlder: this.#hasPaused(nowMs) };
    this.#courses.set(id, { kind, name, terms: [...this.#ended(terms), term].slice(-MOST_TERMS) });
  }

  #hasPaused(nowMs: number): boolean {
    return this.#lookedAtMs === undefined || nowMs - this.#lookedAtMs > LONGEST_PAUSE_MS;
  }

  #ended(terms: readonly ShownTerm[]): readonly ShownTerm[] {
    const last = terms.at(-1);
    if (last === undefined || last.toMs !== undefined) return terms;
    return [...terms.slice(0, -1), { ...last, toMs: this.#lookedAtMs ?? last.fromMs }];
  }

  #forget(): void {
    for (const [id, { terms }] of this.#courses) {
      if (this.#courses.size <= MOST_ELECTIONS) return;
      if (terms.at(-1)?.toMs !== undefined) this.#courses.delete(id);
    }
  }
}

function idOf({ kind, name }: { readonly kind: string; readonly name: string }): string {
  return `${kind}/${name}`;
}
