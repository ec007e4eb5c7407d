import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { memoryGuard } from '../../lib/guards/memory.ts';
import { StaleTokenError } from '../../lib/index.ts';

/** What a client asks of the register; the token as a decimal string. */
export interface RegisterRequest {
  readonly kind: 'read' | 'write';
  readonly counter: 'guarded' | 'bare';
  readonly token: string;
  /** With `write`: what it is to be, and a name for this write that no other has. */
  readonly value?: number;
  readonly write?: string;
}

export interface AcceptedWrite {
  readonly write: string;
  readonly token: bigint;
  readonly value: number;
}

/** Two counters away from etcd, one with a guard and one without, which clients read and raise over loopback. */
export class Register implements AsyncDisposable {
  readonly url: string;
  /** In the order in which they were accepted. */
  readonly accepted: Record<RegisterRequest['counter'], AcceptedWrite[]> = { guarded: [], bare: [] };
  readonly #guard = memoryGuard();
  readonly #values = { guarded: 0, bare: 0 };
  #refused = 0;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    server.on('request', (message: IncomingMessage, response) => {
      void readAll(message).then((text) => {
        const { status, value } = this.#answer(JSON.parse(text) as RegisterRequest);
        response.writeHead(status).end(JSON.stringify({ value }));
      });
    });
  }

  static async start(): Promise<Register> {
    const server = createServer({ keepAliveTimeout: 60_000 });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    return new Register(server);
  }

  get values(): Readonly<Record<RegisterRequest['counter'], number>> {
    return this.#values;
  }

  /** Writes with a stale token, so far. */
  get refused(): number {
    return this.#refused;
  }

  /** Updates that were accepted without a guard, and overwritten, so far. */
  get lost(): number {
    return this.accepted.bare.length - this.#values.bare;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  /** A read is the first step of a read-modify-write: the guard sees the token there already. */
  #answer({ kind, counter, token: text, value = 0, write = '' }: RegisterRequest): {
    readonly status: number;
    readonly value: number;
  } {
    const token = BigInt(text);
    if (counter === 'guarded' && !this.#admits(token)) {
      if (kind === 'write') this.#refused += 1;
      return { status: 409, value: 0 };
    }
    if (kind === 'write') {
      this.#values[counter] = value;
      this.accepted[counter].push({ write, token, value });
    }
    return { status: 200, value: this.#values[counter] };
  }

  #admits(token: bigint): boolean {
    try {
      this.#guard.check('counter', token);
      return true;
    } catch (error) {
      if (error instanceof StaleTokenError) return false;
      throw error;
    }
  }
}

async function readAll(message: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}

/** The client's side. Resolves to `undefined` if the guard refused the token. */
export async function ask(url: string, request: RegisterRequest): Promise<number | undefined> {
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(request) });
  const { value } = (await response.json()) as { readonly value: number };
  return response.status === 409 ? undefined : value;
}
