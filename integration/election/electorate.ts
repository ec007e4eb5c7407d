import { setTimeout as sleep } from 'node:timers/promises';
import { unpackToken } from '../../lib/index.ts';
import { leaseOfQueueKey } from '../../lib/session/keyspace.ts';
import type { KeyValue, Store } from '../../lib/store/store.ts';
import { accessTo, NAMESPACE } from '../servers/access.ts';
import { CandidateProcess, type Report, type TermReport } from './candidate-process.ts';
import { machineMs } from './machine-clock.ts';
import { sampleSteadily, type Stall } from './stalls.ts';
import type { Term } from './terms.ts';

export interface ElectorateOptions {
  /** Candidates connect to these, each through a proxy of its own. */
  readonly endpoints: readonly string[];
  /** Goes straight to etcd. */
  readonly store: Store;
  readonly election: string;
  readonly size: number;
  readonly ttlMs: number;
}

/** A leader, by its own word and by etcd's. */
export interface Incumbent {
  readonly candidate: CandidateProcess;
  readonly term: Term;
  readonly key: string;
  readonly lease: bigint;
}

const PATIENCE_MS = 40_000;
const POLL_MS = 20;

/** A belief that was reported so lately still stands. */
const PRESENT_MS = 200;

/** An election with all of its candidates, and everything that they have reported. */
export class Electorate implements AsyncDisposable {
  readonly election: string;
  readonly candidates: readonly CandidateProcess[];
  /** By candidate: those of its process and of this one, since its proxies are here. */
  readonly stalls: ReadonlyMap<string, readonly Stall[]>;
  readonly #store: Store;
  readonly #terms: Map<bigint, Term>;
  readonly #stopSampling: () => void;

  private constructor(
    { election, store }: ElectorateOptions,
    candidates: readonly CandidateProcess[],
    terms: Map<bigint, Term>,
    stalls: ReadonlyMap<string, Stall[]>,
  ) {
    this.election = election;
    this.candidates = candidates;
    this.#store = store;
    this.#terms = terms;
    this.stalls = stalls;
    this.#stopSampling = sampleSteadily(
      () => {},
      (stall) => stalls.forEach((each) => each.push(stall)),
    );
  }

  static async start(options: ElectorateOptions): Promise<Electorate> {
    const { endpoints, election, size, ttlMs } = options;
    const terms = new Map<bigint, Term>();
    const stalls = new Map<string, Stall[]>();
    const coordinator = {
      namespace: NAMESPACE,
      ...accessTo(),
      session: { ttlMs },
      request: { timeoutMs: 1_000, deadlineMs: 3_000 },
    };
    const starting = Array.from({ length: size }, (_, index) => {
      const name = `${election}-${index + 1}`;
      const ownStalls: Stall[] = [];
      stalls.set(name, ownStalls);
      const onReport = (report: Report): void => {
        if (report.kind === 'stall') ownStalls.push(report);
        else note(terms, name, report);
      };
      return CandidateProcess.start({ name, endpoints, coordinator, election, onReport });
    });
    return new Electorate(options, await Promise.all(starting), terms, stalls);
  }

  get terms(): readonly Term[] {
    return [...this.#terms.values()];
  }

  /** Resolves when every candidate stands in the queue and the first of them believes that it leads. */
  assembled(): Promise<Incumbent> {
    return this.#until('all candidates in the queue and one that leads', async () => {
      const { entries } = await this.#store
        .range({ prefix: this.prefix, sort: { by: 'create', order: 'ascend' } }, { timeoutMs: 1_000 })
        .catch(() => ({ entries: [] as readonly KeyValue[] }));
      const [first] = entries;
      if (first === undefined || entries.length !== this.candidates.length) return undefined;
      const term = this.terms.find(({ token }) => unpackToken(token).revision === first.createRevision);
      if (term === undefined || term.to < machineMs() - PRESENT_MS) return undefined;
      const candidate = this.candidates.find(({ name }) => name === term.candidate);
      const lease = leaseOfQueueKey(first.key);
      return candidate && lease ? { candidate, term, key: first.key, lease } : undefined;
    });
  }

  /** Resolves with the term after the one with this token. */
  successor(token: bigint): Promise<Term> {
    return this.#until(`a leader after ${token}`, () => this.terms.find((term) => term.token > token));
  }

  /** Resolves when somebody believes that it leads at `instant` or later. */
  ledAt(instant: number): Promise<Term> {
    return this.#until('a leader after an outage', () => this.terms.find((term) => term.to >= instant));
  }

  get prefix(): string {
    return `${NAMESPACE}/election/${this.election}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopSampling();
    await Promise.all(this.candidates.map((candidate) => candidate[Symbol.asyncDispose]()));
  }

  async #until<T>(what: string, probe: () => T | undefined | Promise<T | undefined>): Promise<T> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const found = await probe();
      if (found !== undefined) return found;
      if (performance.now() > deadline) {
        const terms = this.terms.map(({ candidate, token, from, to }) => `${candidate} ${token}: ${from}–${to}`);
        throw new Error(`${this.election}: expected ${what} within ${PATIENCE_MS} ms. Terms:\n${terms.join('\n')}`);
      }
      await sleep(POLL_MS);
    }
  }
}

/** The first report of a term makes it, and later ones stretch it. */
function note(terms: Map<bigint, Term>, candidate: string, { kind, token, at, why }: TermReport): void {
  const known = terms.get(token);
  if (known !== undefined && known.candidate !== candidate) {
    throw new Error(`Two candidates have the token ${token}: ${known.candidate} and ${candidate}`);
  }
  const term = known ?? { candidate, token, from: at, to: at };
  switch (kind) {
    case 'elected':
      terms.set(token, term);
      break;
    case 'held':
      terms.set(token, { ...term, to: Math.max(term.to, at) });
      break;
    case 'told':
      terms.set(token, { ...term, toldAt: at, toldWhy: why });
      break;
    case 'ended':
      terms.set(token, { ...term, endedAt: at });
      break;
  }
}
