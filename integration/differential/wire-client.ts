import { credentials, makeGenericClientConstructor, type Client, type ClientDuplexStream } from '@grpc/grpc-js';
import { serviceDefinitions, type EtcdService } from '../../lib/store/etcd/protocol.ts';

const services: readonly EtcdService[] = ['KV', 'Watch', 'Lease', 'Cluster', 'Maintenance', 'Auth'];

export interface WireRequest {
  readonly service: EtcdService;
  readonly method: string;
  readonly request: object;
}

/** What a server said: its message, or gRPC's code and its own words. */
export type Answer =
  | { readonly message: unknown }
  | { readonly refused: { readonly code: number; readonly details: string } };

type Unary = (
  request: object,
  callback: (error: { code: number; details: string } | null, message: unknown) => void,
) => void;
type Stream = () => ClientDuplexStream<object, Record<string, unknown>>;

/** A client that adds nothing to gRPC: what is sent is what is said, and what comes back is kept, errors included. */
export class WireClient implements Disposable {
  readonly #clients: ReadonlyMap<EtcdService, Client>;
  #renewals: ClientDuplexStream<object, Record<string, unknown>> | undefined;

  private constructor(clients: ReadonlyMap<EtcdService, Client>) {
    this.#clients = clients;
  }

  static async connect(endpoint: string): Promise<WireClient> {
    const definitions = await serviceDefinitions(services);
    const clients = services.map((service) => {
      const ServiceClient = makeGenericClientConstructor(definitions[service], service);
      const options = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };
      return [service, new ServiceClient(new URL(endpoint).host, credentials.createInsecure(), options)] as const;
    });
    return new WireClient(new Map(clients));
  }

  async call({ service, method, request }: WireRequest): Promise<Answer> {
    if (method === 'leaseKeepAlive') return await this.#renew(request);
    const client = this.#client(service);
    const call = (client as unknown as Readonly<Record<string, Unary>>)[method] as Unary;
    return await new Promise((resolve) => {
      call.call(client, request, (error, message) =>
        resolve(error === null ? { message } : { refused: { code: error.code, details: error.details } }),
      );
    });
  }

  openWatches(): WatchMessages {
    const client = this.#client('Watch') as unknown as { readonly watch: Stream };
    return new WatchMessages(client.watch());
  }

  [Symbol.dispose](): void {
    this.#renewals?.cancel();
    for (const client of this.#clients.values()) client.close();
  }

  /** Renewals have one stream, on which each is answered by one message. */
  async #renew(request: object): Promise<Answer> {
    if (this.#renewals === undefined) {
      const client = this.#client('Lease') as unknown as { readonly leaseKeepAlive: Stream };
      this.#renewals = client.leaseKeepAlive();
      this.#renewals.on('error', () => undefined);
    }
    const renewals = this.#renewals;
    return await new Promise((resolve, reject) => {
      const broken = (): void => reject(new Error('The stream of renewals ended'));
      renewals.once('close', broken);
      renewals.once('data', (message) => {
        renewals.off('close', broken);
        resolve({ message });
      });
      renewals.write(request);
    });
  }

  #client(service: EtcdService): Client {
    return this.#clients.get(service) as Client;
  }
}

/** One stream of watches, and what each of them was told. Etcd promises no order among the watches of a stream. */
export class WatchMessages implements Disposable {
  /** By watch. */
  readonly messages: Map<string, Record<string, unknown>[]> = new Map();
  readonly #stream: ClientDuplexStream<object, Record<string, unknown>>;
  #count = 0;

  constructor(stream: ClientDuplexStream<object, Record<string, unknown>>) {
    this.#stream = stream;
    stream.on('data', (message: Record<string, unknown>) => {
      const id = String(message['watch_id']);
      const messages = this.messages.get(id);
      if (messages === undefined) this.messages.set(id, [message]);
      else messages.push(message);
      this.#count += 1;
    });
    stream.on('error', () => undefined);
  }

  /** How many messages there were, of all watches. */
  get count(): number {
    return this.#count;
  }

  send(request: object): void {
    this.#stream.write(request);
  }

  [Symbol.dispose](): void {
    this.#stream.cancel();
  }
}
