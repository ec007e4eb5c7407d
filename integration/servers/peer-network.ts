import { Agent, createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';

/** What the network needs to know of a member. */
export interface Peer {
  readonly name: string;
  readonly peerPort: number;
}

/** How a member reaches the others. */
export interface PeerRoute {
  /** What it advertises to them. */
  readonly advertisedUrl: string;
  /** What its process needs to find them. */
  readonly env: Readonly<Record<string, string>>;
}

/** The raft stream of a member is a GET that stays open: over its answer, the member that was asked says what it has to say. */
const STREAM = '/raft/stream/';
/** Raft messages and snapshots that do not fit a stream; the answer is no more than a receipt. */
const MESSAGE = /^\/raft(\/snapshot)?$/;

/**
 * The way between the members of a cluster, which can be cut. It needs no privileges:
 *
 * 1. Every member advertises an address of TEST-NET-1 (RFC 5737), which leads nowhere, so no member has a way past this one.
 * 2. `HTTP_PROXY` tells each member to ask through a proxy of its own, so it is known who asks, also where a request does not say so: that
 *    to renew a lease at the leader does not.
 * 3. The proxy looks at who speaks to whom with each request. A cut resets what is open, and refuses what is new.
 *
 * What is cut is what one member *says* to another, so a way can be cut in one direction although TCP needs both. What needs an answer
 * (renewals passed on to the leader, versions, probes) needs both here, too.
 */
export class PeerNetwork implements AsyncDisposable {
  /** By the address that they advertise. */
  readonly #peers: ReadonlyMap<string, Peer>;
  readonly #routes = new Map<string, PeerRoute>();
  readonly #proxies: Server[] = [];
  readonly #open = new Set<Exchange>();
  readonly #cuts = new Set<string>();
  readonly #agent = new Agent({ keepAlive: true });

  private constructor(peers: readonly Peer[]) {
    this.#peers = new Map(peers.map((peer, index) => [`192.0.2.${index + 1}:${peer.peerPort}`, peer]));
  }

  static async start(peers: readonly Peer[]): Promise<PeerNetwork> {
    const network = new PeerNetwork(peers);
    await Promise.all([...network.#peers].map(([address, { name }]) => network.#connect(address, name)));
    return network;
  }

  /** For a member that it knows by that name. */
  routeOf(name: string): PeerRoute | undefined {
    return this.#routes.get(name);
  }

  /** From now on, what `from` says does not reach `to`. */
  cut(from: string, to: string): void {
    this.#cuts.add(way(from, to));
    for (const exchange of this.#open) {
      if (this.#isCut(exchange)) exchange.end();
    }
  }

  /** Ends every cut. What was said in the meantime is lost. */
  heal(): void {
    this.#cuts.clear();
  }

  /** With how many members, itself among them, a member can talk both ways. */
  circleOf(name: string): number {
    const isOpen = (peer: Peer): boolean =>
      !this.#cuts.has(way(name, peer.name)) && !this.#cuts.has(way(peer.name, name));
    return [...this.#peers.values()].filter(isOpen).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closing = this.#proxies.map(
      (proxy) =>
        new Promise<void>((resolve) => {
          proxy.close(() => resolve());
          proxy.closeAllConnections();
        }),
    );
    await Promise.all(closing);
    this.#agent.destroy();
  }

  async #connect(address: string, asker: string): Promise<void> {
    const proxy = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (question, answer) => {
      const { host, pathname, search } = new URL(question.url ?? '', 'http://nowhere');
      const asked = this.#peers.get(host);
      const exchange = { asker, asked: asked?.name ?? host, path: pathname, end: () => question.socket.destroy() };
      if (asked === undefined || this.#isCut(exchange)) {
        exchange.end();
        return;
      }
      this.#open.add(exchange);
      answer.once('close', () => this.#open.delete(exchange));
      passOn(question, answer, { port: asked.peerPort, path: pathname + search, agent: this.#agent });
    });
    this.#proxies.push(proxy);
    await new Promise<void>((resolve, reject) => {
      proxy.once('error', reject);
      proxy.listen(0, '127.0.0.1', resolve);
    });
    const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const env = { HTTP_PROXY: url, http_proxy: url, NO_PROXY: '', no_proxy: '' };
    this.#routes.set(asker, { advertisedUrl: `http://${address}`, env });
  }

  #isCut({ asker, asked, path }: Exchange): boolean {
    const asking = this.#cuts.has(way(asker, asked));
    const answering = this.#cuts.has(way(asked, asker));
    if (path.startsWith(STREAM)) return answering;
    return MESSAGE.test(path) ? asking : asking || answering;
  }
}

interface Exchange {
  readonly asker: string;
  readonly asked: string;
  readonly path: string;
  readonly end: () => void;
}

/** Whatever goes wrong on either side ends both, as it does where nothing stands between. */
function passOn(
  question: IncomingMessage,
  answer: ServerResponse,
  { port, path, agent }: { readonly port: number; readonly path: string; readonly agent: Agent },
): void {
  const { method, headers } = question;
  const onward = request({ host: '127.0.0.1', port, path, method, headers, agent });
  const fail = (): void => {
    question.socket.destroy();
  };
  onward.once('error', fail);
  onward.once('response', (response) => {
    answer.writeHead(response.statusCode ?? 502, response.headers);
    /* A stream begins with headers alone, which are waited for. */
    answer.flushHeaders();
    response.once('error', fail);
    response.pipe(answer);
  });
  answer.once('close', () => onward.destroy());
  question.pipe(onward);
}

function way(from: string, to: string): string {
  return `${from} to ${to}`;
}
