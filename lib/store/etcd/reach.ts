import { StoreError } from '../store-error.ts';
import type { Authentication } from './authentication.ts';
import type { Bounds } from './bounds.ts';
import type { Connection } from './connection.ts';
import type { Credentials } from './credentials.ts';
import { isMemberSuspect } from './grpc-errors.ts';
import type { Line } from './line.ts';
import type { Members } from './members.ts';

export interface Reached<L extends Line> {
  /** It is up: what is handed to it now is sent. */
  readonly connection: Connection<L>;
  readonly credentials: Credentials;
}

/**
 * Finds a member that is connected and knows us: the one in use, else each of the others once, each within its share of the time that is
 * left. Where no member is known yet, it waits for one. Nothing of the caller's is sent, so a failure here never leaves an outcome
 * open. Throws the last member's failure.
 */
export async function reach<L extends Line>(
  members: Members<L>,
  authentication: Authentication,
  bounds: Bounds,
): Promise<Reached<L>> {
  const tried: Connection<L>[] = [];
  let failure: StoreError | undefined;
  for (;;) {
    bounds.throwIfEnded();
    /* Anew each time, since the list may have become another one meanwhile. */
    const untried = members.untried(tried);
    const [connection] = untried;
    if (connection === undefined) {
      if (failure !== undefined) throw failure;
      await firstList(members, bounds);
      continue;
    }
    const reached = await reachOne(connection, authentication, bounds, untried.length);
    if (!(reached instanceof StoreError)) return { connection, credentials: reached };
    if (isMemberSuspect(reached)) members.suspect(connection);
    bounds.throwIfEnded();
    if (!isMemberSuspect(reached)) throw reached;
    tried.push(connection);
    failure = reached;
  }
}

/** Ends at any news, also that there is no list still: a timeout is to tell the newest reason. */
async function firstList(members: Members, bounds: Bounds): Promise<void> {
  bounds.waitingFor = members.missing;
  const ended = await bounds.orEnd(members.news());
  if (ended !== undefined) throw ended;
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
  const share = bounds.part(bounds.remainingMs / untried);
  try {
    for (;;) {
      share.waitingFor = connection.dialling;
      const failure = await connection.whenUp(share);
      if (failure === undefined) {
        share.waitingFor = connection.answering;
        authentication.doubt();
      }
      const reached = failure ?? (await authentication.credentials(connection, share));
      /* It may have gone down while we asked for a token. */
      if (reached instanceof StoreError || connection.isUp) return reached;
    }
  } finally {
    share.release();
  }
}
