import { expectText } from '../../arguments.ts';
import type { StoreError } from '../store-error.ts';
import type { Bounds } from './bounds.ts';
import type { Connection } from './connection.ts';
import { credentialsOf, type Credentials } from './credentials.ts';
import { classify, type GrpcStatus } from './grpc-errors.ts';
import type { OpenCalls } from './open-calls.ts';

export interface AuthOptions {
  readonly username: string;
  readonly password: string;
}

/** How long a member may take to check a password, which costs it some effort on purpose. */
const ASK_TIMEOUT_MS = 5_000;

/**
 * Who we are to etcd: a token that is got for user and password with the first call, sent with every call and stream, and renewed when
 * etcd refuses it. Any member's token is good at every member.
 *
 * An etcd that was restored from a backup does not refuse a token from before: a simple token names a place in the log, and calls with
 * it wait there until the log is as long again. So one that is not answered, after a member was dialled anew, is renewed as well. Where
 * the connection has lasted it is not: a busy etcd must not be asked to check passwords on top.
 */
export class Authentication {
  readonly #open: OpenCalls;
  readonly #auth: AuthOptions | undefined;
  #credentials: Credentials | undefined;
  /** Whether a member was dialled since etcd has last looked at the token and answered. */
  #isDoubted = false;
  /** Whether the last token was discarded, and there is no other yet. At the start each connection may get one; none of them is worse for that. */
  #isDiscarded = false;
  readonly #onRenewal = new Set<() => void>();
  /** One request at a time at each member: a member that hangs does not keep us from asking another. */
  readonly #asking = new Map<Connection, Promise<Credentials | StoreError>>();

  constructor(open: OpenCalls, auth: AuthOptions | undefined) {
    this.#open = open;
    if (auth !== undefined) {
      expectText('auth.username', auth.username);
      /* Not shown, whatever it is. */
      if (typeof auth.password !== 'string') throw new TypeError('Expected auth.password to be text');
    }
    this.#auth = auth;
    if (auth === undefined) this.#credentials = credentialsOf(undefined);
  }

  /** Whether a refused token can be replaced. */
  get hasUser(): boolean {
    return this.#auth !== undefined;
  }

  /** What to send with a call, got at `connection` if need be, which is up. Resolves to the failure if there is one. */
  credentials(connection: Connection, bounds: Bounds): Credentials | Promise<Credentials | StoreError> {
    if (this.#credentials !== undefined) return this.#credentials;
    let asking = this.#asking.get(connection);
    if (asking === undefined) {
      asking = this.#ask(connection).finally(() => this.#asking.delete(connection));
      this.#asking.set(connection, asking);
    }
    return this.#join(asking, bounds);
  }

  /** These were refused. A newer token, which another call may have got in the meantime, stays. */
  discard(credentials: Credentials): void {
    if (!this.hasUser || credentials !== this.#credentials) return;
    this.#credentials = undefined;
    this.#isDiscarded = true;
  }

  /** A member was dialled, and may have been restored from a backup meanwhile. */
  doubt(): void {
    this.#isDoubted = true;
  }

  /** A call was answered for which etcd looks at the token. */
  trust(): void {
    this.#isDoubted = false;
  }

  /** What was sent with these was not answered in time. */
  unanswered(credentials: Credentials): void {
    if (this.#isDoubted) this.discard(credentials);
  }

  /** Calls `listener` when there is another token for one that was discarded. Returns what removes it. */
  onRenewal(listener: () => void): () => void {
    this.#onRenewal.add(listener);
    return () => this.#onRenewal.delete(listener);
  }

  async #join(asking: Promise<Credentials | StoreError>, bounds: Bounds): Promise<Credentials | StoreError> {
    return (await bounds.orEnd(asking)) ?? (await asking);
  }

  /** In a time of its own: whoever waits for it does so in theirs, and the first to give up takes nobody along. */
  #ask(connection: Connection): Promise<Credentials | StoreError> {
    const { username = '', password = '' } = this.#auth ?? {};
    return this.#open
      .run('read', 'authenticate', { timeoutMs: ASK_TIMEOUT_MS }, async (bounds) => {
        bounds.waitingFor = connection.answering;
        const request = { name: username, password };
        const call = connection.unary('authenticate', request, credentialsOf(undefined), bounds.remainingMs);
        bounds.onEnd(() => call.cancel());
        const answer = await call.answer;
        if ('response' in answer) return this.#keep(answer.response.token);
        /* A password for a cluster that asks for none. If it begins to, "user name is empty" leads here again. */
        if (isNotEnabled(answer.status)) return this.#keep(undefined);
        throw classify('read', answer.status, connection.endpoint.url);
      })
      .catch((error: unknown) => error as StoreError);
  }

  #keep(token: string | undefined): Credentials {
    this.#isDoubted = false;
    const credentials = credentialsOf(token);
    this.#credentials = credentials;
    if (this.#isDiscarded) {
      this.#isDiscarded = false;
      for (const listener of [...this.#onRenewal]) listener();
    }
    return credentials;
  }
}

function isNotEnabled(status: GrpcStatus): boolean {
  return /authentication is not enabled/.test(status.details);
}
