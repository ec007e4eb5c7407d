import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { systemClock } from '../runtime/clock.ts';

/** What the proxy does to the bytes of one direction. */
interface Course {
  readonly held: boolean;
  readonly delayMs: number;
}

type Parcel = { readonly dueMs: number } & (
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'end' }
  | { readonly kind: 'reset' }
);

/**
 * A TCP proxy on loopback that stands between a client and etcd and makes the faults of a network: those that break connections, and
 * those, harder on clients, that leave them open and silent. TLS passes through it, for a certificate that names 127.0.0.1.
 *
 * What a fault holds back is not lost: TCP never loses bytes of a connection that lives. After {@link heal} it arrives late, as it does
 * after a real partition, and so a request can be applied after its caller gave up.
 *
 * ```ts
 * await using proxy = await FaultProxy.start('http://127.0.0.1:2379');
 * const coordinator = createCoordinator({ endpoints: [proxy.endpoint] });
 * proxy.blackhole();
 * ```
 */
export class FaultProxy implements AsyncDisposable {
  /** What clients connect to, with the scheme of the endpoint behind it. */
  readonly endpoint: string;
  readonly #server: Server;
  readonly #links: Set<Link>;
  readonly #weather: Weather;
  #stopped: Promise<void> | undefined;

  private constructor(endpoint: string, server: Server, links: Set<Link>, weather: Weather) {
    this.endpoint = endpoint;
    this.#server = server;
    this.#links = links;
    this.#weather = weather;
  }

  /**
   * Starts a proxy on a free port of 127.0.0.1 before `endpoint`, such as `http://127.0.0.1:2379`. It lets everything pass until it is
   * told otherwise. Throws a TypeError if the endpoint is not an http or https URL.
   */
  static async start(endpoint: string): Promise<FaultProxy> {
    const target = parseTarget(endpoint);
    const links = new Set<Link>();
    const weather: Weather = { requests: CLEAR, responses: CLEAR, refuses: false };
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      if (weather.refuses) {
        reset(client);
        return;
      }
      const link = new Link(client, target, weather);
      links.add(link);
      link.whenOver(() => links.delete(link));
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as AddressInfo;
    return new FaultProxy(`${target.protocol}//127.0.0.1:${port}`, server, links, weather);
  }

  /** How many connections of clients are open. */
  get connections(): number {
    return this.#links.size;
  }

  /** Connections stay open and new ones are accepted, but nothing is read and nothing is answered, in either direction. */
  blackhole(): void {
    this.#change({
      requests: { ...this.#weather.requests, held: true },
      responses: { ...this.#weather.responses, held: true },
    });
  }

  /** Requests reach the server and are carried out; no answer comes back. */
  dropResponses(): void {
    this.#change({ responses: { ...this.#weather.responses, held: true } });
  }

  /** No request reaches the server, while what it has to say still comes through. */
  dropRequests(): void {
    this.#change({ requests: { ...this.#weather.requests, held: true } });
  }

  /** Resets every connection, and every new one as soon as it is made. */
  cut(): void {
    this.#weather.refuses = true;
    for (const link of this.#links) link.reset();
  }

  /** From now on every byte takes this much longer, in either direction. */
  delay(ms: number): void {
    if (!Number.isFinite(ms) || ms < 0) {
      throw new RangeError(`Expected a delay of milliseconds, a finite number of at least 0, got ${ms}`);
    }
    this.#change({
      requests: { ...this.#weather.requests, delayMs: ms },
      responses: { ...this.#weather.responses, delayMs: ms },
    });
  }

  /** Ends every fault. What was held back now arrives. */
  heal(): void {
    this.#weather.refuses = false;
    this.#change({ requests: CLEAR, responses: CLEAR });
  }

  /** Resets every connection and stops listening. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= new Promise((resolve) => {
      this.#server.close(() => resolve());
      for (const link of this.#links) link.reset();
    });
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #change(courses: { readonly requests?: Course; readonly responses?: Course }): void {
    Object.assign(this.#weather, courses);
    for (const link of this.#links) link.weatherChanged();
  }
}

const CLEAR: Course = { held: false, delayMs: 0 };

/** What every connection looks at. Changed in place, by the proxy only. */
interface Weather {
  requests: Course;
  responses: Course;
  refuses: boolean;
}

interface Target {
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
}

function parseTarget(endpoint: string): Target {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol) || url.hostname === '') {
    throw new TypeError(`Expected an endpoint such as "http://127.0.0.1:2379", got ${JSON.stringify(endpoint)}`);
  }
  const port = url.port === '' ? { 'http:': 80, 'https:': 443 }[url.protocol] : Number(url.port);
  return { protocol: url.protocol, host: url.hostname.replace(/^\[|\]$/g, ''), port: port ?? 80 };
}

/** One connection of a client, with the one to the server that is made for it once requests may pass. */
class Link {
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
function reset(socket: Socket): void {
  if (socket.connecting || socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
