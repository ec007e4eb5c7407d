import { status as Status, type ClientDuplexStream, type Metadata, type ServiceError } from '@grpc/grpc-js';
import type { ILeaseKeepAliveRequest, ILeaseKeepAliveResponse } from 'etcd3';
import { Bulkhead } from '../../resilience/bulkhead.ts';
import type { CallOptions, LeaseResponse } from '../store.ts';
import type { Authentication } from './authentication.ts';
import type { Bounds } from './bounds.ts';
import type { Connection } from './connection.ts';
import type { Credentials } from './credentials.ts';
import { classify, isMemberSuspect, isStaleToken, type GrpcStatus } from './grpc-errors.ts';
import type { GrpcLine } from './grpc-line.ts';
import type { Members } from './members.ts';
import type { OpenCalls } from './open-calls.ts';
import { reach } from './reach.ts';
import { revisionOf } from './wire.ts';

type Answer = { readonly response: ILeaseKeepAliveResponse } | { readonly status: GrpcStatus };

/** The stream that renewals go over. */
interface Line {
  readonly connection: Connection<GrpcLine>;
  readonly stream: ClientDuplexStream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>;
  /** Who waits for the next answer. */
  receive: ((answer: Answer) => void) | undefined;
}

/**
 * Renewals of leases, over connections of their own that nothing else uses, on one stream that stays open.
 *
 * Answers carry a lease ID but not *which* request they answer. A late answer that is taken for a later request's would lengthen the
 * validity of a lease by the time between the two. So there is at most one request on the stream, and a request that ended without an
 * answer takes the stream down with it.
 *
 * One that was not answered in time may have lengthened the lease, of which nobody knows here: where only answers are lost, a leader that
 * has stepped down could so keep its successor waiting. The connection goes with it, and the next is not up before the server was heard.
 *
 * A renewal is harmless to repeat, and validity counts from before the first try: it goes on to the other members within its time.
 */
export class Renewals {
  readonly #open: OpenCalls;
  readonly #members: Members<GrpcLine>;
  readonly #authentication: Authentication;
  /** One at a time, in order. */
  readonly #turn = new Bulkhead(1);
  #line: Line | undefined;

  constructor(open: OpenCalls, members: Members<GrpcLine>, authentication: Authentication) {
    this.#open = open;
    this.#members = members;
    this.#authentication = authentication;
  }

  renew(lease: bigint, options: CallOptions): Promise<LeaseResponse> {
    return this.#open.run('read', 'leaseKeepAlive', options, async (bounds) => {
      await bounds.enter(this.#turn);
      try {
        return await this.#renew(lease, bounds);
      } finally {
        this.#turn.leave();
      }
    });
  }

  close(): void {
    this.#drop(this.#line);
  }

  async #renew(lease: bigint, bounds: Bounds): Promise<LeaseResponse> {
    let renewedToken = false;
    const { size } = this.#members;
    /* Twice even where there is one member: the stream may have broken since the last renewal without a sign. */
    for (let tries = Math.max(2, size); ;) {
      const { connection, credentials } = await reach(this.#members, this.#authentication, bounds);
      bounds.waitingFor = connection.answering;
      const share = bounds.part(size > 1 && tries > 1 ? bounds.remainingMs / 2 : bounds.remainingMs);
      const answer = await this.#exchange(lease, connection, credentials, share);
      share.release();
      if (bounds.ended !== undefined) throw bounds.ended;
      if ('response' in answer) {
        const { response } = answer;
        return { revision: revisionOf(response), ttlMs: Math.max(0, Number(response.TTL)) * 1_000 };
      }
      if (isStaleToken(answer.status, credentials.token) && this.#authentication.hasUser && !renewedToken) {
        renewedToken = true;
        this.#authentication.discard(credentials);
        continue;
      }
      const error = classify('read', answer.status, connection.endpoint.url);
      if (error.reason === 'lease-not-found') return { revision: 0n, ttlMs: 0 };
      if (isMemberSuspect(error)) this.#members.suspect(connection);
      tries -= 1;
      if (tries === 0 || error.outcome === 'permanent') throw error;
    }
  }

  async #exchange(
    lease: bigint,
    connection: Connection<GrpcLine>,
    credentials: Credentials,
    share: Bounds,
  ): Promise<Answer> {
    const line =
      this.#line?.connection === connection ? this.#line : await this.#dial(connection, credentials.metadata);
    const answered = new Promise<Answer>((resolve) => {
      line.receive = resolve;
    });
    line.stream.write({ ID: String(lease) });
    const ended = await share.orEnd(answered);
    line.receive = undefined;
    if (ended !== undefined) {
      this.#drop(line);
      if (ended.reason === 'timeout') {
        connection.hangUp();
        this.#authentication.unanswered(credentials);
      }
      return { status: { code: Status.DEADLINE_EXCEEDED, details: ended.message } };
    }
    const answer = await answered;
    if ('response' in answer && answer.response.ID !== String(lease)) {
      this.#drop(line);
      return {
        status: { code: Status.INTERNAL, details: `The renewal of another lease was answered: ${answer.response.ID}` },
      };
    }
    return answer;
  }

  async #dial(connection: Connection<GrpcLine>, metadata: Metadata): Promise<Line> {
    this.#drop(this.#line);
    const stream = await connection.line.stream('leaseKeepAlive', metadata);
    const line: Line = { connection, stream, receive: undefined };
    this.#line = line;
    const broke = (status: GrpcStatus): void => {
      this.#drop(line);
      line.receive?.({ status });
    };
    stream.on('data', (response: ILeaseKeepAliveResponse) => {
      /* Nobody waits: it is the answer to a request that was given up. */
      if (line.receive === undefined) this.#drop(line);
      else line.receive({ response });
    });
    stream.on('error', (error: ServiceError) => broke({ code: error.code, details: error.details }));
    stream.on('end', () =>
      broke({ code: Status.UNAVAILABLE, details: 'The stream of renewals was ended by the server' }),
    );
    return line;
  }

  #drop(line: Line | undefined): void {
    if (line === this.#line) this.#line = undefined;
    line?.stream.cancel();
  }
}
