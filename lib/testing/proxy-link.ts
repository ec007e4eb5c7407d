import { connect, type Socket } from 'node:net';
import { systemClock } from '../runtime/clock.ts';

/** What the proxy does to the bytes of one direction. */
export interface Course {
  readonly held: boolean;
  readonly delayMs: number;
}

export const CLEAR: Course = { held: false, delayMs: 0 };

/** What every connection looks at. Changed in place, by the proxy only. */
export interface Weather {
  requests: Course;
  responses: Course;
  refuses: boolean;
}

export interface Target {
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
}

type Parcel = { readonly dueMs: number } & (
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'end' }
  | { readonly kind: 'reset' }
);

/** One connection of a client, with the one to the server that is made for it once requests may pass. */
export class Link {
  readonly #client: Socket;
  readonly #target: Target;
  readonly #weather: Weather;
  readonly #listeners: (() => void)[] = [];
  #requests: Flow | undefined;
  #responses: Flow | undefined;
  #server: Socket | undefined;

  constructor(client: Socket, target: Target, weather: Weather) {
    this.#client = client;
    this.#target = target;
    this.#weather = weather;
    client.pause();
    client.on('error', () => undefined);
    client.once('close', () => this.#closeIfDone());
    this.weatherChanged();
  }

  whenOver(listener: () => void): void {
    this.#listeners.push(listener);
  }

  weatherChanged(): void {
    if (this.#server === undefined && !this.#weather.requests.held && !this.#client.destroyed) this.#connect();
    this.#requests?.pump();
    this.#responses?.pump();
  }

  reset(): void {
    this.#requests?.stop();
    this.#responses?.stop();
    reset(this.#client);
    if (this.#server !== undefined) reset(this.#server);
    this.#closeIfDone();
  }

  #connect(): void {
    const server = connect({ port: this.#target.port, host: this.#target.host, allowHalfOpen: true, noDelay: true });
    server.on('error', () => undefined);
    server.once('close', () => this.#closeIfDone());
    this.#server = server;
    this.#requests = new Flow(this.#client, server, () => this.#weather.requests);
    this.#responses = new Flow(server, this.#client, () => this.#weather.responses);
  }

  #closeIfDone(): void {
    if (!this.#client.destroyed || this.#server?.destroyed === false) return;
    this.#requests?.stop();
    this.#responses?.stop();
    for (const listener of this.#listeners.splice(0)) listener();
  }
}

/**
 * One direction of a connection: what comes in leaves in the same order, when it is due and nothing holds it. The end of a
 * connection travels the same way as its bytes, so that a server that dies behind a blackhole looks alive from before it.
 */
class Flow {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #course: () => Course;
  readonly #parcels: Parcel[] = [];
  #lastDueMs = 0;
  #cancelTimer: () => void = () => undefined;
  #blocked = false;

  constructor(from: Socket, to: Socket, course: () => Course) {
    this.#from = from;
    this.#to = to;
    this.#course = course;
    from.on('data', (bytes: Buffer) => this.#add({ kind: 'bytes', bytes }));
    from.once('end', () => this.#add({ kind: 'end' }));
    from.once('close', () => this.#add({ kind: 'reset' }));
    to.on('drain', () => {
      this.#blocked = false;
      this.pump();
    });
    this.pump();
  }

  /** Lets go what may go, and looks again when the next parcel is due. */
  pump(): void {
    this.#cancelTimer();
    if (this.#course().held) {
      this.#from.pause();
      return;
    }
    for (;;) {
      const next = this.#parcels[0];
      if (next === undefined || this.#blocked) break;
      const waitMs = next.dueMs - systemClock.now().monotonicMs;
      if (waitMs > 0) {
        this.#cancelTimer = systemClock.schedule(waitMs, () => this.pump());
        break;
      }
      this.#parcels.shift();
      this.#deliver(next);
    }
    if (this.#blocked) this.#from.pause();
    else this.#from.resume();
  }

  stop(): void {
    this.#cancelTimer();
    this.#parcels.length = 0;
  }

  #add(what: { readonly kind: 'bytes'; readonly bytes: Buffer } | { readonly kind: 'end' | 'reset' }): void {
    this.#lastDueMs = Math.max(this.#lastDueMs, systemClock.now().monotonicMs + this.#course().delayMs);
    this.#parcels.push({ ...what, dueMs: this.#lastDueMs });
    this.pump();
  }

  #deliver(parcel: Parcel): void {
    if (this.#to.destroyed) return;
    switch (parcel.kind) {
      case 'bytes':
        this.#blocked = !this.#to.write(parcel.bytes);
        break;
      case 'end':
        this.#to.end();
        break;
      case 'reset':
        /* After an orderly end in this direction, the other one may still have something to say. */
        if (!this.#to.writableEnded) reset(this.#to);
        else if (this.#from.errored !== null) this.#to.destroy();
        break;
    }
  }
}

/**
 * Ends a connection with RST. Not one that is shutting down: libuv refuses that, Node then forgets the handle without closing it, and
 * the process spins when it should exit.
 */
export function reset(socket: Socket): void {
  if (socket.connecting || socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
