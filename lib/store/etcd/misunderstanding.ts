import type { Clock } from '../../runtime/clock.ts';
import { StoreError } from '../store-error.ts';
import type { Endpoint } from './endpoints.ts';
import { speaksPlainHttp2, speaksTls } from './language-probe.ts';

/** How long the cause of a failed connection is looked for. */
export const EXPLAIN_TIMEOUT_MS = 500;

/** A TLS mistake, which waiting does not mend. */
export function tlsError(endpoint: Endpoint, cause: string): StoreError {
  return new StoreError('tls', 'permanent', `No TLS connection to ${endpoint.url}: ${cause}`);
}

/**
 * Whether the server speaks the other language than the endpoint says. To be asked when somebody took the connection and then ended it,
 * as is done with those who do.
 */
export async function misunderstanding(clock: Clock, endpoint: Endpoint): Promise<StoreError | undefined> {
  const { secure } = endpoint;
  if (secure && (await speaksPlainHttp2(clock, endpoint, EXPLAIN_TIMEOUT_MS))) {
    return tlsError(endpoint, 'the server speaks no TLS: use http instead of https');
  }
  if (!secure && (await speaksTls(clock, endpoint, EXPLAIN_TIMEOUT_MS))) {
    return tlsError(endpoint, 'the server speaks TLS: use https instead of http');
  }
  return undefined;
}
