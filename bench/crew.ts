import type { PeerProcess } from './peer-process.ts';
import type { Program } from './programs.ts';
import type { Site } from './site.ts';

/** Every program that can be had, each in so many processes, for as long as a part of the benchmark lasts. */
export class Crew implements AsyncDisposable {
  readonly programs: readonly Program[];
  readonly #processes: ReadonlyMap<Program, readonly PeerProcess[]>;

  private constructor(programs: readonly Program[], processes: ReadonlyMap<Program, readonly PeerProcess[]>) {
    this.programs = programs;
    this.#processes = processes;
  }

  /** The TTL is long where a lease is not what is measured: no renewal then falls into the time that is counted. */
  static async muster(
    site: Site,
    programs: readonly Program[],
    { processes, ttlMs = 60_000 }: { readonly processes: number; readonly ttlMs?: number },
  ): Promise<Crew> {
    const present = await site.present(programs);
    const started = new Map<Program, readonly PeerProcess[]>();
    for (const program of present) {
      const all = Array.from({ length: processes }, () => site.start(program, { ttlMs }));
      started.set(program, await Promise.all(all));
    }
    return new Crew(present, started);
  }

  /** The first so many processes of a program. */
  of(program: Program, count: number = Number.POSITIVE_INFINITY): readonly PeerProcess[] {
    return (this.#processes.get(program) ?? []).slice(0, count);
  }

  has(program: Program): boolean {
    return this.#processes.has(program);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#processes.values()].flat().map((each) => each[Symbol.asyncDispose]()));
  }
}

/** Everybody once in each round, in an order that shifts. */
export function* turns<T>(all: readonly T[], rounds: number): Generator<{ readonly round: number; readonly who: T }> {
  for (let round = 0; round < rounds; round += 1) {
    for (let place = 0; place < all.length; place += 1) {
      yield { round, who: all[(place + round) % all.length] as T };
    }
  }
}
