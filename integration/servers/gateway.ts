import { once } from 'node:events';
import { request as requestHttp, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import { certificates } from './access.ts';
import type { EtcdServer } from './etcd-server.ts';

const RAFT_TIMEOUT_MS = 10_000;

export interface GatewayOptions {
  readonly signal: AbortSignal;
  /** @default 'POST' */
  readonly method?: 'GET' | 'POST' | undefined;
  /** From {@link authenticate}. @default none */
  readonly token?: string | undefined;
}

/** Asks etcd's JSON gateway, which needs no client of gRPC. Resolves to its answer, be it an error, when that begins. */
export async function ask(
  { endpoint, isRestricted }: EtcdServer,
  path: string,
  body: object,
  { signal, method = 'POST', token }: GatewayOptions,
): Promise<IncomingMessage> {
  const headers = token === undefined ? {} : { authorization: token };
  const options = { method, headers, signal };
  const request = isRestricted
    ? requestHttps(`${endpoint}${path}`, { ...options, ca: certificates?.ca, ...certificates?.nameless })
    : requestHttp(`${endpoint}${path}`, options);
  /* What breaks later breaks the answer. */
  request.on('error', () => {});
  request.end(method === 'GET' ? undefined : JSON.stringify(body));
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

/** The whole of an answer. */
export async function answer<T>(server: EtcdServer, path: string, body: object, options: GatewayOptions): Promise<T> {
  const pieces: Buffer[] = [];
  for await (const piece of await ask(server, path, body, options)) pieces.push(piece as Buffer);
  return JSON.parse(Buffer.concat(pieces).toString()) as T;
}

/** A token for `user`, such as `root:secret`, if the member gives one. */
export async function authenticate(server: EtcdServer, user: string, signal: AbortSignal): Promise<string | undefined> {
  const [name, password] = user.split(':');
  const { token } = await answer<{ readonly token?: string }>(
    server,
    '/v3/auth/authenticate',
    { name, password },
    { signal },
  );
  return token;
}

/** What a member's raft says of itself. It needs no peer for that. */
export interface RaftState {
  readonly id: string;
  /** The newest that it knows of, or has begun itself. The status tells the term of the last entry that was applied instead. */
  readonly term: number;
  /** Whom it takes for the leader. */
  readonly lead: string | undefined;
}

export async function raftOf(server: EtcdServer): Promise<RaftState> {
  const options = { method: 'GET', signal: AbortSignal.timeout(RAFT_TIMEOUT_MS) } as const;
  const variables = await answer<{ readonly 'raft.status': RaftState & { readonly lead: string } }>(
    server,
    '/debug/vars',
    {},
    options,
  );
  const { id, term, lead } = variables['raft.status'];
  return { id, term, lead: lead === '0' ? undefined : lead };
}
