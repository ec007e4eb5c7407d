import { once } from 'node:events';
import { request as requestHttp, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import { certificates } from './access.ts';
import type { EtcdServer } from './etcd-server.ts';

export interface GatewayOptions {
  readonly signal: AbortSignal;
  /** From {@link authenticate}. @default none */
  readonly token?: string | undefined;
}

/** Asks etcd's JSON gateway, which needs no client of gRPC. Resolves to its answer, be it an error, when that begins. */
export async function ask(
  { endpoint, isRestricted }: EtcdServer,
  path: string,
  body: object,
  { signal, token }: GatewayOptions,
): Promise<IncomingMessage> {
  const headers = token === undefined ? {} : { authorization: token };
  const options = { method: 'POST', headers, signal };
  const request = isRestricted
    ? requestHttps(`${endpoint}${path}`, { ...options, ca: certificates?.ca, ...certificates?.nameless })
    : requestHttp(`${endpoint}${path}`, options);
  /* What breaks later breaks the answer. */
  request.on('error', () => {});
  request.end(JSON.stringify(body));
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
