/** Endpoints from DNS SRV records (RFC 2782), under the names that etcd's own `--discovery-srv` asks for. */
import dns from 'node:dns/promises';
import { onAbort } from '../../runtime/abort.ts';
import { shuffled, type Random } from '../../runtime/random.ts';
import { parseEndpoint, type Endpoint } from './endpoints.ts';

/** One try of one name server. There are two; whoever asks has a deadline for the whole. */
const TRY_TIMEOUT_MS = 1_500;
const TRIES = 2;

export interface SrvRecord {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** Asks DNS. Rejects if there is no answer or an empty one; may go on when `signal` aborts, though nobody listens any more. */
export type ResolveSrv = (name: string, signal: AbortSignal) => Promise<readonly SrvRecord[]>;

/** An endpoint with its place in the order. */
export interface SrvTarget {
  readonly endpoint: Endpoint;
  /** The lowest is tried first. */
  readonly priority: number;
  /** Its share of the clients, among those of its priority. */
  readonly weight: number;
}

export function srvName(domain: string, secure: boolean): string {
  return `_etcd-client${secure ? '-ssl' : ''}._tcp.${domain}`;
}

/** Asks the name servers of this process, those that `dns.setServers` has named included. */
export async function systemResolveSrv(name: string, signal: AbortSignal): Promise<readonly SrvRecord[]> {
  /* One of its own, since a question to Node's default one cannot be taken back and would keep a closed process alive. */
  const resolver = new dns.Resolver({ timeout: TRY_TIMEOUT_MS, tries: TRIES });
  /* By the object: what is imported by its name goes on to tell the servers that there were at first. */
  const servers = dns.getServers();
  if (servers.length > 0) resolver.setServers(servers);
  const stop = onAbort(signal, () => resolver.cancel());
  try {
    return await resolver.resolveSrv(name);
  } finally {
    stop();
  }
}

export interface SrvLimits {
  readonly secure: boolean;
  /** Only targets in this domain are taken. */
  readonly within?: string | undefined;
}

/** The targets that can be used, each once. "." says that there is no such service; a target that is no host name is a mistake. */
export function targetsOf(records: readonly SrvRecord[], { secure, within }: SrvLimits): readonly SrvTarget[] {
  const targets = new Map<string, SrvTarget>();
  for (const { name, port, priority, weight } of records) {
    const host = name.replace(/\.$/, '').toLowerCase();
    const endpoint = endpointOf(`${secure ? 'https' : 'http'}://${host}:${port}`);
    if (endpoint === undefined || (within !== undefined && !isWithin(host, within))) continue;
    const known = targets.get(endpoint.url);
    if (known === undefined || priority < known.priority) targets.set(endpoint.url, { endpoint, priority, weight });
  }
  return [...targets.values()];
}

/**
 * The order in which one client tries them: by priority, and among equals as RFC 2782 draws it, so that each comes first as often as its
 * weight says. Those without a weight come first next to never, unless all are without.
 */
export function drawTargets(targets: readonly SrvTarget[], random: Random): readonly Endpoint[] {
  const priorities = [...new Set(targets.map(({ priority }) => priority))].toSorted((a, b) => a - b);
  return priorities.flatMap((each) => {
    /* The RFC leaves open how equals without a weight stand to each other; the order of the answer would be the same for everybody. */
    const equals = shuffled(
      targets.filter(({ priority }) => priority === each),
      random,
    );
    return drawEquals([...equals.filter(isWeightless), ...equals.filter((target) => !isWeightless(target))], random);
  });
}

function drawEquals(equals: readonly SrvTarget[], random: Random): readonly Endpoint[] {
  const rest = [...equals];
  const order: Endpoint[] = [];
  while (rest.length > 0) {
    const total = rest.reduce((sum, { weight }) => sum + weight, 0);
    const drawn = Math.floor(random.uniform() * (total + 1));
    let sum = 0;
    const index = rest.findIndex(({ weight }) => (sum += weight) >= drawn);
    order.push(...rest.splice(index, 1).map(({ endpoint }) => endpoint));
  }
  return order;
}

function isWeightless({ weight }: SrvTarget): boolean {
  return weight === 0;
}

function isWithin(host: string, domain: string): boolean {
  const parent = domain.replace(/\.$/, '').toLowerCase();
  return host === parent || host.endsWith(`.${parent}`);
}

function endpointOf(url: string): Endpoint | undefined {
  try {
    return parseEndpoint(url);
  } catch {
    return undefined;
  }
}
