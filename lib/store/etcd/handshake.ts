import { isIP, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls';
import type { Clock } from '../../runtime/clock.ts';
import type { Endpoint } from './endpoints.ts';

/** A TLS handshake that takes longer has met silence. */
const HANDSHAKE_TIMEOUT_MS = 5_000;

/**
 * Makes the secure connection of a TCP connection, for HTTP/2. `onVerdict` is told each time that something is known about TLS: why it
 * failed, also after the handshake, or nothing when it succeeded.
 */
export function handshake(
  clock: Clock,
  { host }: Endpoint,
  secureContext: SecureContext,
  socket: Socket,
  onVerdict: (tlsFailure: string | undefined) => void,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const secured = connectTls({
      socket,
      secureContext,
      host,
      /* The name of the virtual host, which may not be an address (RFC 6066). The certificate is checked against `host` in any case. */
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ALPNProtocols: ['h2'],
    });
    const stop = clock.schedule(HANDSHAKE_TIMEOUT_MS, () => {
      secured.destroy(new Error(`The TLS handshake did not end within ${HANDSHAKE_TIMEOUT_MS} ms`));
    });
    secured.once('secureConnect', () => {
      stop();
      onVerdict(undefined);
      resolve(secured);
    });
    /* It stays: in TLS 1.3 the server refuses a client's certificate only after the client's side of the handshake has succeeded. */
    secured.on('error', (error: NodeJS.ErrnoException) => {
      stop();
      if (isAboutTls(error)) onVerdict(error.message);
      reject(error);
    });
    secured.once('close', () => {
      stop();
      reject(new Error('The connection was closed during the TLS handshake'));
    });
  });
}

/** Certificates and protocol, as opposed to the network below. */
function isAboutTls(error: NodeJS.ErrnoException): boolean {
  const code = error.code ?? '';
  const ofTheNetwork = [
    'ECONNRESET',
    'EPIPE',
    'ETIMEDOUT',
    'ECONNREFUSED',
    'ECONNABORTED',
    'EHOSTUNREACH',
    'ENETUNREACH',
  ];
  return code !== '' && !ofTheNetwork.includes(code);
}
