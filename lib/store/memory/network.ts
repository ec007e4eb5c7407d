import type { Clock } from '../../runtime/clock.ts';
import { StoreError } from '../store-error.ts';
import { mayWrite, type Answer, type Call } from './call.ts';
import type { Faults } from './faults.ts';
import type { Watcher } from './watchers.ts';

/** The cluster, as its clients reach it. */
export interface Endpoint {
  /** The cluster's own time, on which requests travel: it goes on when a client's stands still. */
  readonly clock: Clock;
  /** Which process of the cluster it is: a crash ends one, with every stream to it. */
  readonly process: number;
  nextCallId(): number;
  receive(call: Call, respond: Respond): void;
  /** Returns what ends the watch. */
  open(watcher: Watcher): () => void;
}

export type Respond = (answer: Answer | StoreError) => void;

/** The way of one client's calls to the cluster and back, with its latency and its faults. */
export class Network {
  readonly #clock: Clock;
  readonly #endpoint: Endpoint;
  readonly #faults: Faults;
  readonly #latencyMs: () => number;

  /** `clock`: the client's, on which answers travel. */
  constructor(clock: Clock, endpoint: Endpoint, faults: Faults, latencyMs: () => number) {
    this.#clock = clock;
    this.#endpoint = endpoint;
    this.#faults = faults;
    this.#latencyMs = latencyMs;
  }

  /** Takes a call to the cluster as far as the faults let it. `respond` is told whatever comes back: nothing, once, or twice. */
  send(call: Call, respond: Respond, receive: (call: Call, respond: Respond) => void): void {
    const fault = this.#faults.decideRequest(call);
    const arrive = (arriving: Call): void => receive(arriving, (answer) => this.#sendBack(call, answer, respond));
    const travel = (extraMs: number, travelling: Call = call): void =>
      after(this.#endpoint.clock, this.#latencyMs() + extraMs, () => arrive(travelling));

    if (fault === 'deliver') travel(0);
    else if (fault === 'drop') return;
    else if (fault === 'park') this.#faults.park(call, () => arrive(call));
    else if (fault === 'refuse') {
      after(this.#clock, 0, () => respond(new StoreError('unreachable', 'transient', 'The connection was refused')));
    } else if ('refuseWith' in fault) after(this.#clock, 2 * this.#latencyMs(), () => respond(fault.refuseWith));
    else if ('delayMs' in fault) travel(fault.delayMs);
    else if ('staleBy' in fault) travel(0, { ...call, staleBy: fault.staleBy });
    else {
      travel(0);
      travel(fault.duplicateAfterMs);
    }
  }

  #sendBack(call: Call, answer: Answer | StoreError, respond: Respond): void {
    const fault = this.#faults.decideResponse(call, answer);
    const travel = (what: Answer | StoreError, extraMs: number): void =>
      after(this.#clock, this.#latencyMs() + extraMs, () => respond(what));

    if (fault === 'deliver') travel(answer, 0);
    else if (fault === 'drop') return;
    else if (fault === 'break') {
      const outcome = mayWrite(call) ? 'unknown' : 'transient';
      travel(new StoreError('unreachable', outcome, 'The connection broke before an answer came'), 0);
    } else if ('delayMs' in fault) travel(answer, fault.delayMs);
    else travel(fault.answer, 0);
  }
}

/** Without a delay no timer is needed, so a test without latency need not move its clock. */
function after(clock: Clock, delayMs: number, run: () => void): void {
  if (delayMs > 0) clock.schedule(delayMs, run);
  else void Promise.resolve().then(run);
}
