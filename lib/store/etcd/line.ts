import type { StoreError } from '../store-error.ts';
import type { Credentials } from './credentials.ts';
import type { GrpcStatus } from './grpc-errors.ts';
import type { UnaryMethod, UnaryMethods } from './protocol.ts';

/** A unary call under way. */
export interface UnaryCall<Response> {
  /** Settles in any case once the call was cancelled. */
  readonly answer: Promise<{ readonly response: Response } | { readonly status: GrpcStatus }>;
  cancel(): void;
}

/** One HTTP/2 connection to a member, from dialling to hanging up. */
export interface Line {
  /** Whether a request could be sent now. */
  readonly isUp: boolean;
  /** For how long it has been connecting, also where it is down and dials again by itself. */
  readonly connectingMs: number;
  /** Looks how it is, and begins to connect if nobody has. `down`: it failed a moment ago, and is not tried again yet. */
  connect(): 'up' | 'connecting' | 'down';
  /** Resolves when its state is another. */
  changed(): Promise<void>;
  /** Why it is down. Resolves to nothing if it has come up in the meantime. */
  explain(): Promise<StoreError | undefined>;
  /** Sends a request, while it is up. Throws a StoreError if that cannot be, and then nothing was sent. */
  unary<M extends UnaryMethod>(
    method: M,
    request: UnaryMethods[M]['request'],
    credentials: Credentials,
    timeoutMs: number,
  ): UnaryCall<UnaryMethods[M]['response']>;
  /** Destroys the connection with everything that is under way on it, now and for good. */
  hangUp(): void;
}
