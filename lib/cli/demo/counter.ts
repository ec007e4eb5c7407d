/**
 * The resource: a counter that is read and written over HTTP, in the process of the demo. It is all that a resource has to do to be safe:
 * a guard at its door, asked with the token of the holder before a read and before a write, and in one step with that.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { StaleTokenError } from '../../errors.ts';
import { fencingToken, httpGuard, type TokenCheck } from '../../guards/http.ts';
import { memoryGuard } from '../../guards/memory.ts';
import type { Journal } from './journal.ts';

/** What a worker sends: a new value of the counter, or a tick that it runs. */
export interface Message {
  readonly worker: string;
  readonly value?: number;
  readonly tick?: string;
}

export class Counter implements AsyncDisposable {
  readonly url: string;
  readonly #server: Server;

  private constructor(server: Server) {
    const { port } = server.address() as AddressInfo;
    this.url = `http://127.0.0.1:${port}`;
    this.#server = server;
  }

  /** Starts it at 0. Without fencing it takes whatever comes. */
  static async start(journal: Journal, { fencing }: { readonly fencing: boolean }): Promise<Counter> {
    const guard = fencing ? witnessed(memoryGuard(), journal) : { check: () => {} };
    const door = httpGuard<IncomingMessage>(guard, { resource: ({ url = '/' }) => url.slice(1) });
    let count = 0;

    const act = (request: IncomingMessage, response: ServerResponse, message: Message | undefined): void => {
      const token = fencingToken(request);
      if (message?.value !== undefined) {
        const { worker, value } = message;
        journal.add({ type: 'wrote', worker, token, before: count, value });
        count = value;
      } else if (message?.tick !== undefined) {
        journal.add({ type: 'ran', worker: message.worker, token, tick: message.tick });
      }
      response.end(JSON.stringify(count));
    };
    const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      /* All of the request first, so that nothing comes between the guard's answer and what it is about. */
      const message = request.method === 'GET' ? undefined : ((await json(request)) as Message);
      door(request, response, () => act(request, response, message));
    };
    /* Whoever sends it was killed in the middle of it, or sends nonsense: nothing is done. */
    const server = createServer((request, response) => void serve(request, response).catch(() => response.destroy()));
    /* A connection that has rested while its worker was stopped is as good as before. */
    server.keepAliveTimeout = 0;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    return new Counter(server);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}

function witnessed(guard: TokenCheck, journal: Journal): TokenCheck {
  return {
    check: (resource, token) => {
      try {
        return guard.check(resource, token);
      } catch (error) {
        if (error instanceof StaleTokenError) {
          journal.add({ type: 'refused', resource, token, highest: error.highest });
        }
        throw error;
      }
    },
  };
}
