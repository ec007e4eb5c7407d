/** A mistake, made on purpose in the compiled code, and what has to notice it. */
export interface Mutant {
  /** What is wrong then. */
  readonly name: string;
  /** The file below dist/lib, without its ending. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** The simulation, within so many seeds; or a file of unit tests, for what the simulation sees too rarely. */
  readonly caughtBy: number | string;
}

export const mutants: readonly Mutant[] = [
  {
    name: 'a late enqueue is not refused by the generation',
    file: 'queue/ticket',
    from: "[{ key: session.identity.key, target: 'mod', is: '=', than: generation }, ...condition]",
    to: '[...condition]',
    caughtBy: 400,
  },
  {
    name: 'an unanswered enqueue is not settled',
    file: 'queue/ticket',
    from: 'if (this.#unanswered)',
    to: 'if (this.#unanswered && false)',
    caughtBy: 200,
  },
  {
    name: 'a waiter does not wait for its predecessor',
    file: 'queue/ticket',
    from: 'while (this.#predecessor !== undefined)',
    to: 'while (this.#predecessor !== undefined && false)',
    caughtBy: 50,
  },
  {
    name: 'two tries can both take a free lock',
    file: 'queue/ticket',
    from: "[{ prefix: this.#prefix, target: 'create', is: '=', than: 0n }], []",
    to: "[{ key: this.key, target: 'create', is: '=', than: 0n }], []",
    caughtBy: 50,
  },
  {
    name: 'the epoch is not in the token',
    file: 'queue/ticket',
    from: 'packToken({ epoch: this.#epoch,',
    to: 'packToken({ epoch: 0,',
    caughtBy: 200,
  },
  {
    name: 'a lock is valid from the answer of the renewal',
    file: 'session/session',
    from: 'this.#renewedAt = sentAt;',
    to: 'this.#renewedAt = this.#runtime.clock.now();',
    caughtBy: 1_000,
  },
  {
    name: 'a lock is valid for longer than its lease',
    file: 'session/session',
    from: 'return this.#ttlMs - this.#options.marginMs(this.#ttlMs);',
    to: 'return this.#ttlMs + 1_000;',
    caughtBy: 100,
  },
  {
    name: 'what was lost is valid again when the clock is set back',
    file: 'session/session',
    from: 'if (this.#lapsed || this.#lost.signal.aborted)',
    to: 'if (false)',
    caughtBy: 'lib/session/session.test.ts',
  },
  {
    name: 'nobody watches the session key',
    file: 'session/keeper',
    from: 'void session.watchOwnKey();',
    to: '',
    caughtBy: 'lib/lock/fenced-lock.test.ts',
  },
  {
    name: 'a suspended machine believes its monotonic clock',
    file: 'runtime/clock',
    from: 'Math.max(0, until.monotonicMs - since.monotonicMs, until.wallMs - since.wallMs)',
    to: 'Math.max(0, until.monotonicMs - since.monotonicMs)',
    caughtBy: 100,
  },
  {
    name: 'a restore is not noticed',
    file: 'store/revision-floor',
    from: "new StoreError('regressed'",
    to: "new StoreError('unreachable'",
    caughtBy: 'lib/store/revision-floor.test.ts',
  },
  {
    name: 'a watch skips an event when it resumes',
    file: 'store/follow',
    from: 'isPast && next > 1n ? next - 1n : next',
    to: 'isPast ? next + 1n : next',
    caughtBy: 50,
  },
  {
    name: 'a resync is not announced',
    file: 'replica/replica',
    from: "const isResync = this.#origin !== 'nothing';",
    to: 'const isResync = false;',
    caughtBy: 200,
  },
  {
    name: 'history is not checked before a watch goes on',
    file: 'replica/replica',
    from: 'return this.#landmarks.check(this.#questions, holding, call);',
    to: 'return Promise.resolve(undefined);',
    caughtBy: 400,
  },
  {
    name: 'late events take a replica back to what was proved to be over',
    file: 'replica/replica',
    from: '.flatMap((next) => this.#detour.take(next, this.#freshness.revision, (key) => this.#contents.entries.has(key)))',
    to: '',
    caughtBy: 'lib/cache/cache.test.ts',
  },
  {
    name: 'an age counts from the answer of its proof',
    file: 'replica/freshness',
    from: 'later(this.#provedAt, answer.askedAt)',
    to: 'later(this.#provedAt, answeredAt)',
    caughtBy: 50,
  },
  {
    name: 'a proof does not count the keys',
    file: 'replica/trail',
    from: 'size === answer.count && newest',
    to: 'newest',
    caughtBy: 200,
  },
  {
    name: 'an unanswered write is sent again, unsettled',
    file: 'session/operations',
    from: 'const settled = await this.#settle(session, id, error);',
    to: 'const settled = undefined;',
    caughtBy: 100,
  },
  {
    name: 'a late write is not refused by the generation',
    file: 'session/operations',
    from: "compare: [{ key, target: 'mod', is: '=', than: generation }, ...transaction.compare]",
    to: 'compare: transaction.compare',
    caughtBy: 400,
  },
  {
    name: 'a cache does not wait to see its own write',
    file: 'cache/cache-writer',
    from: 'await this.#shown(full, revision, signal).catch(',
    to: 'await Promise.resolve().catch(',
    caughtBy: 50,
  },
  {
    name: 'an update does not compare',
    file: 'config/config',
    from: 'ifVersion: current?.version ?? 0',
    to: 'ifVersion: undefined',
    caughtBy: 100,
  },
  {
    name: 'a leader resigns under its running work',
    file: 'election/term',
    from: 'tenure.interrupt(reason)',
    to: 'void tenure.release()',
    caughtBy: 100,
  },
  {
    name: 'an observer hides absence',
    file: 'election/observation',
    from: 'this.#steps.push(leader);',
    to: 'if (leader !== undefined) this.#steps.push(leader);',
    caughtBy: 50,
  },
  {
    name: 'a leader that goes while it is asked for is named',
    file: 'election/leader',
    from: 'if (!isGone)',
    to: 'if (true)',
    caughtBy: 'lib/election/election.test.ts',
  },
  {
    name: 'a tick is claimed by one who does not lead',
    file: 'schedule/ledger',
    from: '[...standing.leads, this.#isNotPaused(), this.#isSettledAsKnown(state)]',
    to: '[this.#isNotPaused(), this.#isSettledAsKnown(state)]',
    caughtBy: 'lib/schedule/ledger.test.ts',
  },
  {
    name: 'a paused job is started',
    file: 'schedule/ledger',
    from: '[...standing.leads, this.#isNotPaused(), this.#isSettledAsKnown(state)]',
    to: '[...standing.leads, this.#isSettledAsKnown(state)]',
    caughtBy: 'lib/schedule/ledger.test.ts',
  },
  {
    name: 'a tick is claimed a second time',
    file: 'schedule/ledger',
    from: '[...compare, standing.epoch.compare, isNew]',
    to: '[...compare, standing.epoch.compare]',
    caughtBy: 'lib/schedule/ledger.test.ts',
  },
  {
    name: 'a clock that is ahead starts ticks',
    file: 'schedule/trust',
    from: 'comparison.aheadMs > this.#maxSkewMs',
    to: 'false',
    caughtBy: 'lib/schedule/clocks.test.ts',
  },
];
