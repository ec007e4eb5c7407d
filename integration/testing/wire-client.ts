import { credentials, makeGenericClientConstructor, type Client, type ClientDuplexStream } from '@grpc/grpc-js';
import { serviceDefinitions, type EtcdService } from '../../lib/store/etcd/protocol.ts';

const services: readonly EtcdService[] = ['KV', 'Watch', 'Lease', 'Cluster', 'Maintenance', 'Auth'];

type Unary = (
  request: object,
  callback: (error: { code: number; details: string } | null, answer: unknown) => void,
) => void;
type Stream = () => ClientDuplexStream<object, Record<string, unknown>>;

/** A client that adds nothing to gRPC: what is sent is what is said, and what comes back is kept, errors included. */
export class WireClient implements Disposable {
  readonly #clients: ReadonlyMap<EtcdService, Client>;

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

  /** The answer, or how it was refused. Names of servers and what the clock decides are taken out. */
  async call(service: EtcdService, method: string, request: object): Promise<unknown> {
    const client = this.#client(service);
    const call = (client as unknown as Readonly<Record<string, Unary>>)[method] as Unary;
    return await new Promise((resolve) => {
      call.call(client, request, (error, answer) =>
        resolve(error === null ? comparable(answer) : { code: error.code, details: error.details }),
      );
    });
  }

  openWatches(): WatchMessages {
    const client = this.#client('Watch') as unknown as { readonly watch: Stream };
    return new WatchMessages(client.watch());
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients.values()) client.close();
  }

  #client(service: EtcdService): Client {
    return this.#clients.get(service) as Client;
  }
}

/** One stream of watches, and what each of them was told. */
export class WatchMessages implements Disposable {
  readonly #stream: ClientDuplexStream<object, Record<string, unknown>>;
  readonly #messages = new Map<string, unknown[]>();

  constructor(stream: ClientDuplexStream<object, Record<string, unknown>>) {
    this.#stream = stream;
    stream.on('data', (message: Record<string, unknown>) => {
      const id = String(message['watch_id']);
      const messages = this.#messages.get(id) ?? [];
      messages.push(comparable(message));
      this.#messages.set(id, messages);
    });
    stream.on('error', () => undefined);
  }

  send(request: object): void {
    this.#stream.write(request);
  }

  /** By watch. Etcd promises no order among the watches of a stream. */
  get messages(): Readonly<Record<string, readonly unknown[]>> {
    return Object.fromEntries([...this.#messages].toSorted(([a], [b]) => Number(a) - Number(b)));
  }

  [Symbol.dispose](): void {
    this.#stream.cancel();
  }
}

/** Bytes as text, and without what no two servers have in common. */
function comparable(answer: unknown): unknown {
  const text = JSON.stringify(answer, function (this: Record<string, unknown>, name, value: unknown) {
    // A buffer has become JSON of its own before it gets here.
    const original = this[name];
    if (Buffer.isBuffer(original))
      return original.length > 100 ? `${original.length} bytes` : original.toString('latin1');
    if ((name === 'cluster_id' || name === 'member_id') && value !== '0') return 'somebody';
    // What is left of a lease, in seconds.
    if (name === 'TTL') return Number(value) > 0;
    // Sets, which etcd keeps in Go's maps.
    if (name === 'keys' && Array.isArray(original)) return original.map(String).toSorted();
    return value;
  });
  return JSON.parse(text);
}
