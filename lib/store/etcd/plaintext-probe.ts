import { connect } from 'node:net';
import type { Clock } from '../../runtime/clock.ts';
import type { Endpoint } from './endpoints.ts';

/** How every HTTP/2 connection begins (RFC 9113, section 3.4), with empty settings behind it. */
const PREFACE = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);

/** The type of a TLS record that carries an alert (RFC 8446, section 5.1). */
const ALERT = 0x15;

/**
 * Whether the server behind an http endpoint expects TLS. gRPC cannot tell: it only sees a connection that ends without a word of
 * HTTP/2. So we open one of our own, greet in plain HTTP/2 and look at the first bytes of the answer.
 */
export function speaksTls(clock: Clock, endpoint: Endpoint, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(endpoint.port, endpoint.host);
    const settle = (verdict: boolean): void => {
      stop();
      socket.destroy();
      resolve(verdict);
    };
    const stop = clock.schedule(timeoutMs, () => settle(false));
    socket.once('connect', () => socket.write(PREFACE));
    socket.once('data', (answer: Buffer) => settle(isTls(answer)));
    socket.once('error', () => settle(false));
    socket.once('close', () => settle(false));
  });
}

/** An alert of TLS, or the sentence with which Go's servers answer plain HTTP on a TLS port. */
function isTls(answer: Buffer): boolean {
  return (
    (answer[0] === ALERT && answer[1] === 0x03) || answer.toString('latin1').includes('HTTP request to an HTTPS server')
  );
}
