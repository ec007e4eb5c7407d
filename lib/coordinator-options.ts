import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { expectBoolean, expectDuration, expectOptions, expectText, show } from './arguments.ts';
import type { Logger } from './runtime/logger.ts';
import { createLogger, safeLogger } from './runtime/logger.ts';
import { Keyspace } from './session/keyspace.ts';
import { roundTtlMs } from './session/ttl.ts';

/** PEM text or its bytes. */
export type Pem = string | Buffer;

/** Whom a coordinator talks to, as whom, and how patiently. */
export interface CoordinatorOptions {
  /**
   * etcd's client URLs, all `http://` or all `https://`.
   * @default HOLDFAST_ENDPOINTS, comma separated, else `http://127.0.0.1:2379`; none with `discovery.srv`
   */
  readonly endpoints?: string | readonly string[] | undefined;
  /**
   * Where further endpoints come from, and how the list follows the cluster. See docs/endpoints.md.
   * @default none: the endpoints are those that are given
   */
  readonly discovery?: DiscoverySettings | undefined;
  /**
   * Everything of this coordinator lives below `<namespace>/` in etcd. No `/` in it.
   * @default 'holdfast'
   */
  readonly namespace?: string | undefined;
  /**
   * A user of etcd, where its authentication is on.
   * @default none: calls are made without a user
   */
  readonly auth?: { readonly username: string; readonly password: string } | undefined;
  /** For `https://` endpoints: the authority that signed the servers' certificates, and this client's own certificate and key. */
  readonly tls?:
    | { readonly ca?: Pem | undefined; readonly cert?: Pem | undefined; readonly key?: Pem | undefined }
    | undefined;
  /** How long what this process holds can outlive it. */
  readonly session?: SessionSettings | undefined;
  /** How long calls to etcd may take. */
  readonly request?: RequestSettings | undefined;
  /**
   * A folder for the last known config and cached entries, for a start while etcd is away. It may hold secrets; it is made for its
   * owner alone. Several processes may share it.
   * @default none: nothing is written to disk
   */
  readonly snapshotDir?: string | undefined;
  /**
   * Who we are, for whoever asks who holds what.
   * @default host-pid-random
   */
  readonly instanceId?: string | undefined;
  /**
   * A winston logger, or anything with its debug, info, warn and error.
   * @default winston on standard error at the level of HOLDFAST_LOG; silent when that is unset
   */
  readonly logger?: Logger | undefined;
}

/** Where further endpoints come from: a domain, the cluster itself, or both. */
export interface DiscoverySettings {
  /**
   * A DNS domain: asks for the SRV records `_etcd-client-ssl._tcp.<srv>` with https, `_etcd-client._tcp.<srv>` without, as etcd's own
   * `--discovery-srv` does. It is https when `tls` is given or the endpoints are https.
   */
  readonly srv?: string | undefined;
  /**
   * Follow the cluster's own member list: the client URLs of its voting members that have started.
   * @default false
   */
  readonly members?: boolean | undefined;
  /**
   * How often either is asked again, in milliseconds, plus or minus a tenth; at least 100.
   * @default 60_000
   */
  readonly everyMs?: number | undefined;
}

/** Of the one lease that everything rests on. */
export interface SessionSettings {
  /**
   * How long what this process holds outlives it, in milliseconds; rounded up to whole seconds. The server may grant another.
   * @default 15_000
   */
  readonly ttlMs?: number | undefined;
}

/** Of each call to etcd. */
export interface RequestSettings {
  /**
   * One attempt, in milliseconds.
   * @default 2_000
   */
  readonly timeoutMs?: number | undefined;
  /**
   * A whole call with its repeats, in milliseconds, where the call has no `timeoutMs` of its own.
   * @default 6_000, or `timeoutMs` if that is more
   */
  readonly deadlineMs?: number | undefined;
}

/** The options after their check: complete, and consistent with each other. */
export interface CompleteOptions {
  readonly endpoints: readonly string[];
  readonly discovery: { readonly srv?: string; readonly members: boolean; readonly everyMs: number } | undefined;
  readonly keyspace: Keyspace;
  readonly auth: { readonly username: string; readonly password: string } | undefined;
  readonly tls: CoordinatorOptions['tls'];
  readonly ttlMs: number;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  readonly snapshotDir: string | undefined;
  readonly instanceId: string;
  readonly logger: Logger;
}

const DEFAULT_ENDPOINT = 'http://127.0.0.1:2379';

/** A domain, which may end in the root's dot. What begins with "_" is the whole name of a record, to which ours would be put in front. */
const DOMAIN = /^(?:[a-z0-9][a-z0-9_-]*\.)*[a-z0-9][a-z0-9_-]*\.?$/i;

/** Of a name in DNS (RFC 1035), less what is put in front. */
const LONGEST_DOMAIN = 253 - '_etcd-client-ssl._tcp.'.length;

/** Completes the options. Throws a TypeError or RangeError that names what is wrong. */
export function completeOptions(options: CoordinatorOptions): CompleteOptions {
  expectOptions('createCoordinator', options, [
    'endpoints',
    'discovery',
    'namespace',
    'auth',
    'tls',
    'session',
    'request',
    'snapshotDir',
    'instanceId',
    'logger',
  ]);
  expectOptions('session', options.session, ['ttlMs']);
  expectOptions('request', options.request, ['timeoutMs', 'deadlineMs']);
  expectOptions('tls', options.tls, ['ca', 'cert', 'key']);
  /* Defaults stand for what is undefined alone: a null is a mistake, and is told as one. */
  const { session = {}, request = {}, namespace = 'holdfast', instanceId = ownName() } = options;
  const { ttlMs: askedTtlMs = 15_000 } = session;
  const ttlMs = roundTtlMs('session.ttlMs', askedTtlMs);
  const { timeoutMs: askedTimeoutMs = 2_000 } = request;
  const timeoutMs = expectDuration('request.timeoutMs', askedTimeoutMs, 1);
  const { deadlineMs: askedDeadlineMs = Math.max(6_000, timeoutMs) } = request;
  const deadlineMs = expectDuration('request.deadlineMs', askedDeadlineMs, 1);
  if (timeoutMs > deadlineMs) {
    throw new RangeError(`Expected request.timeoutMs <= request.deadlineMs, got ${timeoutMs} and ${deadlineMs}`);
  }
  const discovery = discoveryOf(options.discovery);
  const isFound = options.endpoints === undefined && discovery?.srv !== undefined;
  return {
    endpoints: isFound ? [] : endpointsOf(options.endpoints),
    discovery,
    keyspace: new Keyspace(namespace),
    auth: authOf(options.auth),
    tls: options.tls,
    ttlMs,
    timeoutMs,
    deadlineMs,
    snapshotDir: options.snapshotDir === undefined ? undefined : expectText('snapshotDir', options.snapshotDir),
    instanceId: expectText('instanceId', instanceId),
    logger: options.logger === undefined ? createLogger() : safeLogger(options.logger),
  };
}

function ownName(): string {
  return `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`;
}

function endpointsOf(endpoints: CoordinatorOptions['endpoints']): readonly string[] {
  if (endpoints === undefined) {
    const listed = (process.env['HOLDFAST_ENDPOINTS'] ?? '').split(',').map((endpoint) => endpoint.trim());
    const named = listed.filter((endpoint) => endpoint !== '');
    return named.length === 0 ? [DEFAULT_ENDPOINT] : named;
  }
  if (typeof endpoints === 'string') return [endpoints];
  if (!Array.isArray(endpoints) || endpoints.length === 0) {
    throw new TypeError(`Expected endpoints to be a URL or a list of at least one, got ${show(endpoints)}`);
  }
  return [...(endpoints as readonly string[])];
}

function discoveryOf(discovery: CoordinatorOptions['discovery']): CompleteOptions['discovery'] {
  expectOptions('discovery', discovery, ['srv', 'members', 'everyMs']);
  const { srv, members = false, everyMs = 60_000 } = discovery ?? {};
  expectBoolean('discovery.members', members);
  expectDuration('discovery.everyMs', everyMs, 100);
  if (srv === undefined) return members ? { members, everyMs } : undefined;
  if (!DOMAIN.test(expectText('discovery.srv', srv)) || isIP(srv) !== 0 || srv.length > LONGEST_DOMAIN) {
    throw new TypeError(`Expected discovery.srv to be a DNS domain such as "example.com", got ${show(srv)}`);
  }
  return { srv: srv.replace(/\.$/, ''), members, everyMs };
}

function authOf(auth: CoordinatorOptions['auth']): CompleteOptions['auth'] {
  if (auth === undefined) return undefined;
  expectOptions('auth', auth, ['username', 'password']);
  expectText('auth.username', auth.username);
  if (typeof auth.password !== 'string') throw new TypeError('Expected auth.password to be text');
  return auth;
}
