import { createServer, type AddressInfo, type Server } from 'node:net';
import { CLEAR, Link, reset, type Course, type Target, type Weather } from './proxy-link.ts';

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

  /** From now on every byte takes so many milliseconds longer, in either direction. */
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

  /** Stops, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #change(courses: { readonly requests?: Course; readonly responses?: Course }): void {
    Object.assign(this.#weather, courses);
    for (const link of this.#links) link.weatherChanged();
  }
}

function parseTarget(endpoint: string): Target {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol) || url.hostname === '') {
    throw new TypeError(`Expected an endpoint such as "http://127.0.0.1:2379", got ${JSON.stringify(endpoint)}`);
  }
  const port = url.port === '' ? { 'http:': 80, 'https:': 443 }[url.protocol] : Number(url.port);
  return { protocol: url.protocol, host: url.hostname.replace(/^\[|\]$/g, ''), port: port ?? 80 };
}
