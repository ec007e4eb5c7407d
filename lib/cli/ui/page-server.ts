/**
 * The page over HTTP. Read-only: it answers GET and HEAD, and nothing that comes in is passed on to etcd.
 *
 * Who knows the secret in the path may look, and everything else is 404, so that neither another user of the machine nor a page of another
 * site that reaches for loopback finds anything. The browser is told to load from here alone, to tell nobody where it came from, and to
 * keep nothing.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer as createHttp, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Audience } from './audience.ts';
import { readPage, type PageFile } from './page-files.ts';

/** Room for every viewer there may be, each with the connections of a browser, and no more than a process can well have open. */
const MOST_CONNECTIONS = 256;

/** Whoever has said nothing by then, or is not done with what they ask, goes: else who knows no secret could keep everybody out for nothing. */
const ASK_TIMEOUT_MS = 5_000;

const LIMITS = {
  headersTimeout: ASK_TIMEOUT_MS,
  requestTimeout: ASK_TIMEOUT_MS,
  connectionsCheckingInterval: 1_000,
} as const;

export interface PageServerOptions {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** PEM. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  /** Somebody has come. */
  readonly onViewer: () => void;
}

const HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
};

export class PageServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #audience: Audience;
  readonly #options: PageServerOptions;
  readonly #secret = randomBytes(24).toString('base64url');
  readonly #files: ReadonlyMap<string, PageFile>;

  private constructor(audience: Audience, files: ReadonlyMap<string, PageFile>, options: PageServerOptions) {
    const { tls } = options;
    this.#audience = audience;
    this.#options = options;
    this.#files = files;
    const answer = (request: IncomingMessage, response: ServerResponse): void => this.#answer(request, response);
    this.#server =
      tls === undefined
        ? createHttp(LIMITS, answer)
        : createHttps({ ...LIMITS, cert: tls.cert, key: tls.key, handshakeTimeout: ASK_TIMEOUT_MS }, answer);
    this.#server.maxConnections = MOST_CONNECTIONS;
  }

  /** Rejects with what listening failed of. */
  static async start(audience: Audience, options: PageServerOptions): Promise<PageServer> {
    const page = new PageServer(audience, await readPage(), options);
    await new Promise<void>((resolve, reject) => {
      page.#server.once('error', reject);
      page.#server.listen(options.port, options.host, resolve);
    });
    return page;
  }

  /** Where the page is, with its secret. */
  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    const { host, tls } = this.#options;
    return `${tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}/${this.#secret}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#audience.dismiss();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    const [, secret = '', ...rest] = (request.url ?? '').split('?')[0]?.split('/') ?? [];
    const name = rest.join('/');
    if (!this.#isKnown(secret))
      return refuse(response, 404, 'There is nothing here. The page has a secret in its address.');
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return refuse(response, 405, 'The page can only be read.');
    if (name === 'events' && request.method === 'GET') {
      if (!this.#audience.admit(response)) return refuse(response, 503, 'There are too many viewers.');
      this.#options.onViewer();
      return;
    }
    const file = this.#files.get(name === '' && rest.length > 0 ? 'index.html' : name);
    if (file === undefined) return refuse(response, 404, 'There is nothing here.');
    response.writeHead(200, { 'Content-Type': file.type });
    response.end(request.method === 'HEAD' ? undefined : file.text);
  }

  /** In a time that tells nothing of how near a guess is. */
  #isKnown(given: string): boolean {
    const [theirs, ours] = [Buffer.from(given), Buffer.from(this.#secret)];
    return theirs.length === ours.length && timingSafeEqual(theirs, ours);
  }
}

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' });
  response.end(`${text}\n`);
}
