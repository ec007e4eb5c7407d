import type { UnaryCalls } from './calls.ts';
import type { DiscoveryOptions, Source } from './discovery.ts';
import type { Endpoint } from './endpoints.ts';
import { isLoopback, votingEndpoints } from './member-list.ts';
import { srvName, targetsOf, type ResolveSrv, type SrvTarget } from './srv.ts';
import type { TlsOptions } from './tls.ts';

/** Less than the deadline of any question: the call's own timeout tells what it waited for. */
const LIST_TIMEOUT_MS = 4_000;

export interface Protection {
  /** https: each endpoint's certificate is verified for the host that the endpoint names. */
  readonly secure: boolean;
  /** Only certificates of authorities that were configured are trusted. */
  readonly ownAuthority: boolean;
}

/** By the endpoints that were named; where all are to be found, by whether there is `tls`. */
export function protectionOf(endpoints: readonly Endpoint[], tls: TlsOptions | undefined): Protection {
  const secure = endpoints.length === 0 ? tls !== undefined : endpoints.every((endpoint) => endpoint.secure);
  return { secure, ownAuthority: tls?.ca !== undefined };
}

/** What a store is to ask, by its options. */
export function sourcesOf(
  { srv, members }: DiscoveryOptions,
  protection: Protection,
  calls: UnaryCalls,
  resolveSrv: ResolveSrv,
): readonly Source[] {
  return [
    ...(srv === undefined ? [] : [srvSource(srv, protection, resolveSrv)]),
    ...(members ? [memberListSource(protection, calls)] : []),
  ];
}

function srvSource(domain: string, protection: Protection, resolveSrv: ResolveSrv): Source {
  return {
    name: `the SRV records ${srvName(domain, protection.secure)}`,
    ask: async (signal) => ({ srv: await askForTargets(domain, protection, resolveSrv, signal) }),
  };
}

/** Asks DNS once. Rejects if it names nothing that can be used. */
export async function askForTargets(
  domain: string,
  { secure, ownAuthority }: Protection,
  resolveSrv: ResolveSrv,
  signal: AbortSignal,
): Promise<readonly SrvTarget[]> {
  /*
   * The host names come from DNS, which can be spoofed, and everybody can have a public authority's certificate for a name of their own. An
   * authority that was configured signs for etcd alone; without one, the domain that was configured has to vouch for the name.
   */
  const within = secure && !ownAuthority ? domain : undefined;
  const records = await resolveSrv(srvName(domain, secure), signal);
  const targets = targetsOf(records, { secure, within });
  if (targets.length > 0) return targets;
  const outside = within === undefined ? '' : `; without tls.ca they have to be in ${domain}`;
  throw new Error(`none of ${records.length} targets can be used${outside}`);
}

function memberListSource({ secure }: Protection, calls: UnaryCalls): Source {
  return {
    name: 'the member list',
    ask: async (signal, { configured, srv }) => {
      /* Linearizable, where the server knows the word (3.5): a member that is cut off may still list who was removed. */
      const options = { timeoutMs: LIST_TIMEOUT_MS, signal };
      const listed = await calls.call(
        'read',
        'memberList',
        { linearizable: true },
        options,
        (answer) => answer.members,
      );
      const loopback = [...configured, ...srv.map(({ endpoint }) => endpoint)].some(isLoopback);
      const members = votingEndpoints(listed, { secure, loopback });
      if (members.length > 0) return { members };
      throw new Error(`none of ${listed.length} members advertises a client URL that can be used from here`);
    },
  };
}
