import type { ClientHttp2Session } from 'node:http2';
import { elapsedMs, type Clock, type Instant } from '../../runtime/clock.ts';
import { PING_EVERY_MS, PING_TIMEOUT_MS } from './limits.ts';

/**
 * Whether a connection still lives. While calls are under way on it, it is pinged, and destroyed if a ping is not answered in time. Without
 * calls it is left alone, since etcd takes no pings then, and keeps no process from ending.
 */
export class Liveness {
  readonly #clock: Clock;
  readonly #session: ClientHttp2Session;
  #underWay = 0;
  #pingedAt: Instant;
  #cancelPing: () => void = () => {};
  /** Of the last ping, which is judged although nobody waits any more. */
  #cancelVerdict: () => void = () => {};

  constructor(clock: Clock, session: ClientHttp2Session) {
    this.#clock = clock;
    this.#session = session;
    this.#pingedAt = clock.now();
    session.unref();
  }

  /** A call begins. */
  begin(): void {
    this.#underWay += 1;
    if (this.#underWay > 1) return;
    this.#session.ref();
    this.#pingLater();
  }

  /** A call has ended. */
  end(): void {
    this.#underWay -= 1;
    if (this.#underWay > 0) return;
    this.#session.unref();
    this.#cancelPing();
  }

  /** The connection is over. */
  stop(): void {
    this.#cancelPing();
    this.#cancelVerdict();
  }

  #pingLater(): void {
    const leftMs = PING_EVERY_MS - elapsedMs(this.#pingedAt, this.#clock.now());
    this.#cancelPing = this.#clock.schedule(Math.max(0, leftMs), () => this.#ping());
  }

  #ping(): void {
    if (this.#session.destroyed || this.#session.closed) return;
    this.#pingedAt = this.#clock.now();
    const cancel = this.#clock.schedule(PING_TIMEOUT_MS, () => {
      this.#session.destroy(new Error(`a ping was not answered within ${PING_TIMEOUT_MS} ms`));
    });
    this.#cancelVerdict = cancel;
    this.#session.ping(() => {
      cancel();
      if (this.#underWay > 0) this.#pingLater();
    });
  }
}
