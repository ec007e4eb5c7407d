import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Clock } from '../../runtime/clock.ts';
import type { Endpoint } from './endpoints.ts';

/*
 * What a server speaks. gRPC cannot tell: a TLS server that is spoken to in plain, and a plain one that is spoken to in TLS, both end the
 * connection without a word. So, after a failure, we open a connection of our own and try the other language. Nothing of a caller's is
 * sent on it.
 */

/** How every HTTP/2 connection begins (RFC 9113, section 3.4), with empty settings behind it. */
const PREFACE = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);

/** The type of the frame with which a server of HTTP/2 begins, behind three bytes of length. */
const SETTINGS_FRAME = 0x04;

/** Whether the server answers a greeting in plain HTTP/2. */
export function speaksPlainHttp2(clock: Clock, endpoint: Endpoint, timeoutMs: number): Promise<boolean> {
  const socket = connect(endpoint.port, endpoint.host, () => socket.write(PREFACE));
  return verdict(clock, socket, timeoutMs, (settle) => {
    socket.once('data', (bytes: Buffer) => settle(bytes[3] === SETTINGS_FRAME));
    socket.once('error', () => settle(false));
  });
}

/** Whether the server takes part in a TLS handshake, whatever comes of it. */
export function speaksTls(clock: Clock, endpoint: Endpoint, timeoutMs: number): Promise<boolean> {
  const socket = connectTls({ port: endpoint.port, host: endpoint.host, ALPNProtocols: ['h2'] });
  return verdict(clock, socket, timeoutMs, (settle) => {
    socket.once('secureConnect', () => settle(true));
    socket.once('error', (error: NodeJS.ErrnoException) => settle(provesTls(error)));
  });
}

/** Only a TLS server can show a certificate that does not please us, or be displeased with us in an alert. */
function provesTls(error: NodeJS.ErrnoException): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO_|ALERT/.test(error.code ?? '');
}

function verdict(
  clock: Clock,
  socket: Socket,
  timeoutMs: number,
  listen: (settle: (verdict: boolean) => void) => void,
): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (verdict: boolean): void => {
      stop();
      socket.destroy();
      resolve(verdict);
    };
    const stop = clock.schedule(timeoutMs, () => settle(false));
    listen(settle);
    socket.once('close', () => settle(false));
  });
}
