import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import {
  Server,
  ServerCredentials,
  status,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
  type ServiceDefinition,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import type { Logger } from '../../runtime/logger.ts';
import { serviceDefinitions, type EtcdService } from '../../store/etcd/protocol.ts';
import { Refusal } from '../../store/memory/refusal.ts';

/** How a call ends that does not succeed: gRPC's code, and the words that go with it. */
export class GrpcStatus extends Error {
  readonly code: status;

  constructor(code: status, details: string) {
    super(details);
    this.code = code;
  }
}

/** Answers one call. `bytes` is the size of the request's message. It throws a {@link Refusal} or a {@link GrpcStatus}. */
export type UnaryHandler = (request: never, bytes: number) => object;

/** The server's end of a stream of messages in both directions. */
export interface MessageStream<Request, Response> {
  send(response: Response): void;
  onMessage(receive: (request: Request) => void): void;
  /** Calls back once, however the stream ends. */
  onEnd(finish: () => void): void;
}

export type StreamHandler = (stream: MessageStream<never, object>) => void;

export interface ServiceHandlers {
  readonly unary?: Readonly<Record<string, UnaryHandler>>;
  readonly streams?: Readonly<Record<string, StreamHandler>>;
}

export type Services = Readonly<Record<EtcdService, ServiceHandlers>>;

export interface ListenOptions {
  readonly port: number;
  readonly keepsProcessAlive: boolean;
}

/** A message with its size on the wire. */
interface Received {
  readonly message: never;
  readonly bytes: number;
}

/** What etcd takes in one message: its limit of a request, and 512 KiB for what is around it. */
export const LARGEST_MESSAGE_BYTES: number = 2 * 1024 * 1024;

/**
 * gRPC on a port of 127.0.0.1. The listening socket is our own, and gRPC is handed the connections: so that neither it nor they keep
 * the process alive, and all of them are gone when `stop` has ended.
 */
export class GrpcServer {
  readonly port: number;
  readonly #stop: () => Promise<void>;

  private constructor(port: number, stop: () => Promise<void>) {
    this.port = port;
    this.#stop = stop;
  }

  static async listen(logger: Logger, services: Services, options: ListenOptions): Promise<GrpcServer> {
    // The limit is ours to apply, since the answer is to be in etcd's words.
    const server = new Server({ 'grpc.max_receive_message_length': -1, 'grpc.enable_channelz': 0 });
    const names = Object.keys(services) as EtcdService[];
    for (const [name, definition] of Object.entries(await serviceDefinitions(names)))
      register(logger, server, name as EtcdService, definition, services[name as EtcdService]);

    const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    const sockets = new Set<Socket>();
    const listener = createServer({ noDelay: true }, (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      if (!options.keepsProcessAlive) socket.unref();
      injector.injectConnection(socket);
    });
    if (!options.keepsProcessAlive) listener.unref();
    listener.listen(options.port, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;

    return new GrpcServer(port, async () => {
      // A server that does not keep the process alive still has to be waited for until it is closed.
      listener.ref();
      const closed = once(listener, 'close');
      listener.close();
      injector.destroy();
      server.forceShutdown();
      for (const socket of sockets) socket.destroy();
      await closed;
    });
  }

  /** Breaks every connection and stops listening. */
  stop(): Promise<void> {
    return this.#stop();
  }
}

function register(
  logger: Logger,
  server: Server,
  service: EtcdService,
  definition: ServiceDefinition,
  { unary = {}, streams = {} }: ServiceHandlers,
): void {
  const measured: Record<string, ServiceDefinition[string]> = {};
  const handlers: Record<string, UntypedHandleCall> = {};
  for (const [name, method] of Object.entries(definition)) {
    const read = method.requestDeserialize as (bytes: Buffer) => never;
    const requestDeserialize = (bytes: Buffer): Received => ({ message: read(bytes), bytes: bytes.length });
    measured[name] = { ...method, requestDeserialize };
    const called = method.originalName ?? name;
    const call = `${service}.${name}`;
    const stream = streams[called];
    if (stream !== undefined) handlers[name] = serveStream(stream);
    else handlers[name] = serveUnary(logger, call, unary[called] ?? (() => notServed(call)));
  }
  server.addService(measured, handlers);
}

function serveUnary(logger: Logger, name: string, handle: UnaryHandler) {
  return ({ request }: ServerUnaryCall<Received, object>, respond: sendUnaryData<object>): void => {
    try {
      if (request.bytes > LARGEST_MESSAGE_BYTES) throw tooLarge(request.bytes);
      const response = handle(request.message, request.bytes);
      logger.debug(`Answered ${name}`, { event: 'embedded-etcd.answered', call: name });
      respond(null, response);
    } catch (error) {
      const { code, details } = statusOf(error);
      if (code === status.INTERNAL)
        logger.error(`Failed in ${name}`, { event: 'embedded-etcd.failed', call: name, error });
      else logger.debug(`Refused ${name}: ${details}`, { event: 'embedded-etcd.refused', call: name, code });
      respond({ code, details });
    }
  };
}

function serveStream(open: StreamHandler) {
  return (call: ServerDuplexStream<Received, object>): void => {
    let isOpen = true;
    open({
      send: (response) => {
        if (isOpen) call.write(response);
      },
      onMessage: (receive) => call.on('data', ({ message }: Received) => receive(message)),
      onEnd: (finish) => {
        const end = (): void => {
          if (!isOpen) return;
          isOpen = false;
          finish();
          call.end();
        };
        // The client has said all it had to say, or it has cancelled, or its connection is gone.
        for (const event of ['end', 'cancelled', 'close', 'error']) call.on(event, end);
      },
    });
  };
}

function statusOf(error: unknown): { readonly code: status; readonly details: string } {
  if (error instanceof Refusal) return error.status;
  if (error instanceof GrpcStatus) return { code: error.code, details: error.message };
  return { code: status.INTERNAL, details: `The embedded etcd has a bug: ${String(error)}` };
}

function notServed(call: string): never {
  throw new GrpcStatus(status.UNIMPLEMENTED, `The embedded etcd of holdfast does not do ${call}`);
}

function tooLarge(bytes: number): GrpcStatus {
  const details = `grpc: received message larger than max (${bytes} vs. ${LARGEST_MESSAGE_BYTES})`;
  return new GrpcStatus(status.RESOURCE_EXHAUSTED, details);
}
