import { StoreError } from '../store-error.ts';
import type { Authentication, Credentials } from './authentication.ts';
import type { Bounds } from './bounds.ts';
import type { Connection } from './connection.ts';
import { isMemberSuspect } from './grpc-errors.ts';
import type { Line } from './line.ts';
import type { Members } from './members.ts';

export interface Reached<L extends Line> {
  /** It is up: what is handed to it now is sent. */
  readonly connection: Connection<L>;
  readonly credentials: Credentials;
}

/**
 * Finds a member that is connected and knows us: the one in use, else each of the others in turn, each within its share of the time
 * that is left. Nothing of the caller's is sent, so a failure here never leaves an outcome open. Throws the last member's failure.
 */
export async function reach<L extends Line>(
  members: Members<L>,
  authentication: Authentication,
  bounds: Bounds,
): Promise<Reached<L>> {
  for (let untried = members.size; ; untried--) {
    bounds.throwIfEnded();
    const connection = members.current;
    const reached = await reachOne(connection, authentication, bounds, untried);
    if (!(reached instanceof StoreError)) return { connection, credentials: reached };
    if (isMemberSuspect(reached)) members.suspect(connection);
    bounds.throwIfEnded();
    if (untried <= 1 || !isMemberSuspect(reached)) throw reached;
  }
}

async function reachOne(
  connection: Connection,
  authentication: Authentication,
  bounds: Bounds,
  untried: number,
): Promise<Credentials | StoreError> {
  if (connection.isUp) {
    const known = authentication.credentials(connection, bounds);
    if (!(known instanceof Promise)) return known;
  }
  bounds.waitingFor = connection.dialling;
  const share = bounds.part(bounds.remainingMs / untried);
  try {
    for (;;) {
      const reached = (await connection.whenUp(share)) ?? (await authentication.credentials(connection, share));
      /* It may have gone down while we asked for a token. */
      if (reached instanceof StoreError || connection.isUp) return reached;
    }
  } finally {
    share.release();
  }
}
