import { StaleTokenError } from '../../errors.ts';
import { fencingHeaders } from '../../guards/http.ts';
import { parseToken } from '../../queue/token.ts';
import type { Message } from './counter.ts';

/** What has a token: a held lock, a tick. */
interface Fenced {
  readonly token: bigint;
}

/** The resource as a worker sees it. Each request has the token of whoever makes it; a refusal is a StaleTokenError. */
export class CounterClient {
  readonly #url: string;
  readonly #worker: string;

  constructor(url: string, worker: string) {
    this.#url = url;
    this.#worker = worker;
  }

  read(held: Fenced): Promise<number> {
    return this.#call('counter', held, { method: 'GET' });
  }

  async write(held: Fenced, value: number): Promise<void> {
    await this.#send('counter', held, { worker: this.#worker, value });
  }

  /** Leaves the mark of a run. */
  async mark(tick: Fenced & { readonly scheduledFor: Date }): Promise<void> {
    await this.#send('job', tick, { worker: this.#worker, tick: tick.scheduledFor.toISOString() });
  }

  #send(resource: string, held: Fenced, message: Message): Promise<number> {
    return this.#call(resource, held, { method: 'PUT', body: JSON.stringify(message) });
  }

  async #call(resource: string, held: Fenced, request: RequestInit): Promise<number> {
    const response = await fetch(`${this.#url}/${resource}`, { ...request, headers: fencingHeaders(held) });
    if (response.status === 409) {
      const { token, highest } = (await response.json()) as { readonly token: string; readonly highest: string };
      throw new StaleTokenError({ resource, token: parseToken(token), highest: parseToken(highest) });
    }
    if (!response.ok) throw new Error(`The resource answered ${response.status} ${await response.text()}`);
    return (await response.json()) as number;
  }
}
