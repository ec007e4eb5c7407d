import { DelegateBackoff, handleType, retry, type IRetryBackoffContext, type RetryPolicy } from 'cockatiel';
import { fullJitterMs } from '../../resilience/backoff.ts';
import { Bulkhead } from '../../resilience/bulkhead.ts';
import { RetryBudget } from '../../resilience/retry-budget.ts';
import type { Clock } from '../../runtime/clock.ts';
import { isHeard, sinceMs, tell, type CallEvent } from '../../runtime/diagnostics.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { StoreError } from '../store-error.ts';
import type { CallOptions } from '../store.ts';
import type { Authentication } from './authentication.ts';
import type { Bounds } from './bounds.ts';
import { classify, isMemberSuspect, isStaleToken, type CallKind } from './grpc-errors.ts';
import type { Members } from './members.ts';
import type { OpenCalls } from './open-calls.ts';
import type { UnaryMethod, UnaryMethods } from './protocol.ts';
import { reach } from './reach.ts';

/** A read that met a bad member is worth a second and a third look, soon: all of them share the caller's one timeout. */
const READ_RETRIES = 2;
const READ_BACKOFF = { baseMs: 25, capMs: 250 };

/** A read that failed in a way that another attempt may mend. cockatiel repeats these, and nothing else. */
class Repeatable extends Error {
  readonly error: StoreError;

  constructor(error: StoreError) {
    super(error.message, { cause: error });
    this.error = error;
  }
}

/**
 * The unary calls. Each settles by its timeout, by its signal or by the store's closing, whatever the server does.
 *
 * 1. It waits for one of `maxInFlight` places, in order.
 * 2. It goes to the member in use. What fails before it was sent goes on to the next member, a write as well.
 * 3. A refused token is renewed, once, and the call repeated: it was refused unseen.
 * 4. What was sent and failed is repeated only if it reads, within the budget of retries. A write is the protocol's business.
 */
export class UnaryCalls {
  readonly #members: Members;
  readonly #authentication: Authentication;
  readonly #bulkhead: Bulkhead;
  readonly #budget: RetryBudget;
  readonly #reads: RetryPolicy;
  readonly #open: OpenCalls;
  readonly #clock: Clock;

  constructor(
    runtime: Runtime,
    open: OpenCalls,
    members: Members,
    authentication: Authentication,
    { maxInFlight }: { readonly maxInFlight: number },
  ) {
    this.#open = open;
    this.#clock = runtime.clock;
    this.#members = members;
    this.#authentication = authentication;
    this.#bulkhead = new Bulkhead(maxInFlight);
    this.#budget = new RetryBudget(runtime.clock);
    const backoff = new DelegateBackoff<IRetryBackoffContext<unknown>>(({ attempt }) =>
      fullJitterMs(attempt - 1, READ_BACKOFF, () => runtime.random.uniform()),
    );
    /* A wait between attempts must not keep the process from ending; the call's own timer does that for as long as it should. */
    this.#reads = retry(handleType(Repeatable), { maxAttempts: READ_RETRIES, backoff }).dangerouslyUnref();
  }

  /** `understand` makes the port's answer of etcd's; where it fails, the call does. */
  call<M extends UnaryMethod, T>(
    kind: CallKind,
    method: M,
    request: UnaryMethods[M]['request'],
    options: CallOptions,
    understand: (response: UnaryMethods[M]['response']) => T,
  ): Promise<T> {
    const run = () => this.#run(kind, method, request, options, understand);
    return isHeard('call') ? this.#timed(method, run) : run();
  }

  async #timed<T>(method: UnaryMethod, run: () => Promise<T>): Promise<T> {
    const begunAt = this.#clock.now();
    const over = (outcome: CallEvent['outcome']): void =>
      tell('call', { method, tookMs: sinceMs(this.#clock, begunAt), outcome });
    try {
      const answer = await run();
      over('ok');
      return answer;
    } catch (error) {
      over(error instanceof StoreError ? error.outcome : 'aborted');
      throw error;
    }
  }

  #run<M extends UnaryMethod, T>(
    kind: CallKind,
    method: M,
    request: UnaryMethods[M]['request'],
    options: CallOptions,
    understand: (response: UnaryMethods[M]['response']) => T,
  ): Promise<T> {
    return this.#open.run(kind, method, options, async (bounds) => {
      await bounds.enter(this.#bulkhead);
      try {
        const attempts =
          kind === 'read' ? this.#read(method, request, bounds) : this.#once(kind, method, request, bounds);
        return understand(await attempts);
      } finally {
        this.#bulkhead.leave();
      }
    });
  }

  async #read<M extends UnaryMethod>(
    method: M,
    request: UnaryMethods[M]['request'],
    bounds: Bounds,
  ): Promise<UnaryMethods[M]['response']> {
    this.#budget.deposit();
    return await this.#reads.execute(async ({ attempt }) => {
      /* Half of the time for the first member leaves the other half for the next; a second look at an only member is of no use. */
      const part = this.#members.size > 1 && attempt === 0 ? bounds.part(bounds.remainingMs / 2) : bounds;
      try {
        return await this.#once('read', method, request, part);
      } catch (error) {
        const again =
          attempt < READ_RETRIES && bounds.ended === undefined && isRepeatable(error) && this.#budget.withdraw();
        throw again ? new Repeatable(error as StoreError) : error;
      } finally {
        if (part !== bounds) part.release();
      }
    });
  }

  async #once<M extends UnaryMethod>(
    kind: CallKind,
    method: M,
    request: UnaryMethods[M]['request'],
    bounds: Bounds,
  ): Promise<UnaryMethods[M]['response']> {
    let renewed = false;
    for (let visits = 1; ;) {
      const { connection, credentials } = await reach(this.#members, this.#authentication, bounds);
      bounds.waitingFor = connection.answering;
      bounds.sent = true;
      const call = connection.unary(method, request, credentials, bounds.remainingMs);
      const ended = await bounds.orEnd(call.answer);
      if (ended !== undefined) {
        call.cancel();
        if (ended.reason === 'timeout') {
          this.#members.suspect(connection);
          this.#authentication.unanswered(credentials);
        }
        throw ended;
      }
      const answer = await call.answer;
      if ('response' in answer) {
        if (method === 'range' || method === 'txn') this.#authentication.trust();
        return answer.response;
      }
      if (isStaleToken(answer.status, credentials.token) && this.#authentication.hasUser && !renewed) {
        renewed = true;
        bounds.sent = false;
        this.#authentication.discard(credentials);
        continue;
      }
      const error = classify(kind, answer.status, connection.endpoint.url);
      if (isMemberSuspect(error)) {
        this.#members.suspect(connection);
        /* A write that this member has refused unseen, since it has lost its leader, may go to another. */
        if (kind === 'write' && error.outcome === 'transient' && visits++ < this.#members.size) {
          bounds.sent = false;
          continue;
        }
      }
      throw error;
    }
  }
}

function isRepeatable(error: unknown): boolean {
  return (
    error instanceof StoreError &&
    error.outcome === 'transient' &&
    (isMemberSuspect(error) || error.reason === 'overloaded')
  );
}
