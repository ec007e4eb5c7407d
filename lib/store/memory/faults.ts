/**
 * What can go wrong between one client and the cluster. Rules are asked from the newest to the oldest; the first that has an opinion
 * decides, and without one everything is delivered.
 */
import type { StoreError } from '../store-error.ts';
import type { WatchBatch, WatchRequest } from '../store.ts';
import type { Answer, Call, Method } from './call.ts';

export type RequestFault =
  | 'deliver'
  /** It never arrives, and nobody says so. */
  | 'drop'
  /** No connection: the caller is told at once, and nothing was applied. */
  | 'refuse'
  /** Held back until {@link Faults.releaseParked}, whether or not the caller still waits. */
  | 'park'
  /** It arrives a second time, `duplicateAfterMs` later; the second answer goes nowhere. */
  | { readonly duplicateAfterMs: number }
  | { readonly delayMs: number }
  /** A range, or a transaction that only reads, is answered as of so many revisions ago, as etcd before 3.4.42 and 3.5.28 may do it. */
  | { readonly staleBy: number }
  /** The cluster refuses it with this error. */
  | { readonly refuseWith: StoreError };

export type ResponseFault =
  | 'deliver'
  /** Applied, and the caller never hears of it. */
  | 'drop'
  /** The connection breaks after the request was applied. */
  | 'break'
  | { readonly delayMs: number }
  /** Another answer than the true one, as servers with a bug give it. */
  | { readonly answer: Answer };

export type WatchFault =
  | 'deliver'
  /** Lost for good, as servers with a bug lose events. The stream goes on. */
  | 'drop'
  /** Held back with everything after it, until {@link Faults.releaseWatches}. */
  | 'hold'
  /** The stream breaks instead of delivering it. */
  | 'break'
  /** Delivered twice, as servers before 3.4.24 do it. */
  | 'duplicate'
  | { readonly delayMs: number };

export type RequestRule = (call: Call) => RequestFault | undefined;
export type ResponseRule = (call: Call, answer: Answer | StoreError) => ResponseFault | undefined;
export type WatchRule = (request: WatchRequest, batch: WatchBatch) => WatchFault | undefined;

/** Takes a rule back. */
type Undo = () => void;

interface Parked {
  readonly call: Call;
  readonly deliver: () => void;
}

/** Where the watches of a client end. */
export interface WatchLine {
  release(): void;
  disconnect(): void;
}

export class Faults {
  readonly #requestRules: RequestRule[] = [];
  readonly #responseRules: ResponseRule[] = [];
  readonly #watchRules: WatchRule[] = [];
  readonly #lines: () => Iterable<WatchLine>;
  readonly #onSilence: () => () => void;
  #parked: Parked[] = [];
  #cuts: Undo[] = [];

  /** `lines`: the open watches. `onSilence` is called when a cut begins, and what it returns when that is mended. */
  constructor(lines: () => Iterable<WatchLine>, onSilence: () => () => void) {
    this.#lines = lines;
    this.#onSilence = onSilence;
  }

  onRequest(rule: RequestRule): Undo {
    return addRule(this.#requestRules, rule);
  }

  onResponse(rule: ResponseRule): Undo {
    return addRule(this.#responseRules, rule);
  }

  onWatch(rule: WatchRule): Undo {
    return addRule(this.#watchRules, rule);
  }

  /** The next call of this kind meets the fault on its way to the cluster. */
  nextRequest(method: Method, fault: RequestFault): Undo {
    const undo = this.onRequest((call) => {
      if (call.method !== method) return undefined;
      undo();
      return fault;
    });
    return undo;
  }

  /** The next call of this kind meets the fault on its way back. */
  nextResponse(method: Method, fault: ResponseFault): Undo {
    const undo = this.onResponse((call) => {
      if (call.method !== method) return undefined;
      undo();
      return fault;
    });
    return undo;
  }

  /**
   * Nothing gets through in either direction, and nobody is told. Requests and answers are lost. Watches are silent, then break, as
   * connections do that answer no ping; if the cut is mended before that, they deliver what was held back.
   */
  cutOff(): Undo {
    const rules = [this.onRequest(() => 'drop'), this.onResponse(() => 'drop'), this.onWatch(() => 'hold')];
    const endOfSilence = this.#onSilence();
    const mend = (): void => {
      if (!this.#cuts.includes(mend)) return;
      this.#cuts = this.#cuts.filter((cut) => cut !== mend);
      endOfSilence();
      for (const undo of rules) undo();
      if (this.#cuts.length === 0) this.releaseWatches();
    };
    this.#cuts.push(mend);
    return mend;
  }

  /** Takes every rule and every cut back, and lets the watches go on. What was parked stays parked. */
  heal(): void {
    for (const mend of this.#cuts) mend();
    this.#requestRules.length = 0;
    this.#responseRules.length = 0;
    this.#watchRules.length = 0;
    this.releaseWatches();
  }

  /** Requests that are held back, in the order in which they were sent. */
  get parked(): readonly Call[] {
    return this.#parked.map(({ call }) => call);
  }

  /** Lets the parked requests arrive, those that `which` picks; returns how many. */
  releaseParked(which: (call: Call) => boolean = () => true): number {
    const released = this.#parked.filter(({ call }) => which(call));
    this.#parked = this.#parked.filter((parked) => !released.includes(parked));
    for (const { deliver } of released) deliver();
    return released.length;
  }

  /** The parked requests are lost for good. */
  discardParked(): void {
    this.#parked = [];
  }

  releaseWatches(): void {
    for (const line of this.#lines()) line.release();
  }

  /** Every watch of this client breaks. */
  disconnectWatches(): void {
    for (const line of [...this.#lines()]) line.disconnect();
  }

  /** For the client: what happens to this request. */
  decideRequest(call: Call): RequestFault {
    return firstOpinion(this.#requestRules, (rule) => rule(call)) ?? 'deliver';
  }

  /** For the client: what happens to this answer. */
  decideResponse(call: Call, answer: Answer | StoreError): ResponseFault {
    return firstOpinion(this.#responseRules, (rule) => rule(call, answer)) ?? 'deliver';
  }

  /** For the client: what happens to this batch. */
  decideWatch(request: WatchRequest, batch: WatchBatch): WatchFault {
    return firstOpinion(this.#watchRules, (rule) => rule(request, batch)) ?? 'deliver';
  }

  /** For the client: keeps a request until it is released. */
  park(call: Call, deliver: () => void): void {
    this.#parked.push({ call, deliver });
  }
}

function addRule<T>(rules: T[], rule: T): Undo {
  rules.unshift(rule);
  return () => {
    const index = rules.indexOf(rule);
    if (index !== -1) rules.splice(index, 1);
  };
}

function firstOpinion<R, T>(rules: readonly R[], ask: (rule: R) => T | undefined): T | undefined {
  // A copy, since a rule may take itself back when it is asked.
  for (const rule of [...rules]) {
    const opinion = ask(rule);
    if (opinion !== undefined) return opinion;
  }
  return undefined;
}
