/** etcd allows 2 MiB for a request by default, and answers of any size: a page of a list, or all events of a revision. */
export const LARGEST_ANSWER_BYTES: number = 128 * 1024 * 1024;

/** gRPC tells a server the time of a call in eight digits at most, and the server refuses a call with more. */
export const LONGEST_CALL_MS = 99_999_999;

/**
 * A dead connection is noticed in 7.5 s. etcd takes a ping every 5 s at most (--grpc-keepalive-min-time), as they arrive and not as they
 * were sent, and ends the connection with "excess pings" after three; it takes none while there is no call.
 */
export const PING_EVERY_MS = 5_500;
export const PING_TIMEOUT_MS = 2_000;

/** Between two dials. gRPC's own pause grows to two minutes, for which a healed network would look broken. */
export const REDIAL: { readonly baseMs: number; readonly capMs: number } = { baseMs: 100, capMs: 1_000 };
