import { isIPv6 } from 'node:net';
import type { IMember } from 'etcd3';
import { parseEndpoint, type Endpoint } from './endpoints.ts';

export interface MemberListLimits {
  readonly secure: boolean;
  /** Whether etcd is known to be on this machine, so that an address of this machine may be one of its members'. */
  readonly loopback: boolean;
}

/**
 * The endpoints of the members that can serve: no learners, which take no part in a majority and refuse most calls, and none that has not
 * started, which has told no client URLs yet.
 *
 * A URL of another scheme would need what was not configured. One that is an address of *any* machine, such as 0.0.0.0 or localhost, is
 * what a member advertises by mistake; at a client's machine somebody else's etcd may answer there, with another history.
 */
export function votingEndpoints(members: readonly IMember[], limits: MemberListLimits): readonly Endpoint[] {
  const endpoints = members
    .filter(({ isLearner }) => !isLearner)
    .flatMap(({ clientURLs }) => clientURLs.map(endpointOf));
  const usable = endpoints.filter(
    (endpoint) =>
      endpoint !== undefined &&
      endpoint.secure === limits.secure &&
      !isUnspecified(endpoint) &&
      (limits.loopback || !isLoopback(endpoint)),
  ) as Endpoint[];
  return [...new Map(usable.map((endpoint) => [endpoint.url, endpoint])).values()];
}

/** Whether it leads to the machine that asks. */
export function isLoopback({ host }: Endpoint): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host.startsWith('127.') || host === '::1';
}

/** What one listens on, and cannot connect to. */
function isUnspecified({ host }: Endpoint): boolean {
  return host === '0.0.0.0' || (isIPv6(host) && /^[0:]+$/.test(host));
}

/** Nothing for what we cannot connect to: unix sockets, or a mistake. */
function endpointOf(url: string): Endpoint | undefined {
  try {
    return parseEndpoint(url);
  } catch {
    return undefined;
  }
}
