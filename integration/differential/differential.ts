import { SeededRandom } from '../../lib/testing/seeded-random.ts';
import type { EtcdVersion } from '../provision/etcd.ts';
import { Conversation } from './conversation.ts';
import { ExpiryRounds } from './expiry-rounds.ts';
import { DivergenceError, Pair } from './pair.ts';
import { Tally } from './tally.ts';

/** One round of leases that end for so many requests: it takes some seconds, beside the requests, on servers of its own. */
const REQUESTS_PER_ROUND = 2_500;

export interface Comparison {
  readonly tally: Tally;
  /** Where the two parted. */
  readonly divergence: string | undefined;
}

/** Asks a real etcd and the embedded one the same, at random, until so many requests were answered or one of them differently. */
export async function compare(version: EtcdVersion, seed: number, requests: number): Promise<Comparison> {
  const tally = new Tally();
  const random = new SeededRandom(seed);
  await using pair = await Pair.start(version);
  await using leases = await Pair.start(version);
  // Where one of the two finds a difference, the other need not go on.
  const stop = new AbortController();
  const stopAtFailure = (run: Promise<void>): Promise<void> =>
    run.catch((error: unknown) => {
      stop.abort();
      throw error;
    });
  const rounds = Math.ceil(requests / REQUESTS_PER_ROUND);
  const runs = await Promise.allSettled([
    stopAtFailure(new Conversation(pair, tally, random.fork()).run(requests, stop.signal)),
    stopAtFailure(new ExpiryRounds(leases, tally, random.fork()).run(rounds, stop.signal)),
  ]);
  const errors = runs.flatMap((run) => (run.status === 'rejected' ? [run.reason as Error] : []));
  for (const error of errors) if (!(error instanceof DivergenceError)) throw error;
  return { tally, divergence: errors.length === 0 ? undefined : errors.map(({ message }) => message).join('\n') };
}
