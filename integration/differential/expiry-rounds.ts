import type { SeededRandom } from '../../lib/testing/seeded-random.ts';
import { until } from '../lock/support/until.ts';
import { difference } from './difference.ts';
import { DivergenceError, MANY_LOOKS, type Pair } from './pair.ts';
import type { Tally } from './tally.ts';
import type { WatchMessages, WireRequest } from './wire-client.ts';

const LEASES = ['21', '22', '23', '24', '25', '26', '27', '28'];
const KEYS = Array.from('abcdefghijklmnop', (key) => Buffer.from(key));
const EVERYTHING = { key: Buffer.from([0]), range_end: Buffer.from([0]) };
/** In seconds: long enough for a round's requests to be made on a busy machine before the first lease ends. */
const TTLS = [10, 11];
const REQUESTS_PER_ROUND = 30;
const ENDED_WITHIN_MS = 60_000;

/**
 * How leases end by themselves. When is up to etcd, which looks twice a second, and so is the order of leases that end at about the same
 * time. What is compared: that each lease ends, that all its keys go in one revision, and nothing else does.
 */
export class ExpiryRounds {
  readonly #pair: Pair;
  readonly #tally: Tally;
  readonly #random: SeededRandom;

  constructor(pair: Pair, tally: Tally, random: SeededRandom) {
    this.#pair = pair;
    this.#tally = tally;
    this.#random = random;
  }

  async run(rounds: number, signal: AbortSignal): Promise<void> {
    for (let round = 0; round < rounds && !signal.aborted; round += 1) await this.#round();
  }

  async #round(): Promise<void> {
    for (const ID of LEASES) {
      await this.#pair.call({
        service: 'Lease',
        method: 'leaseGrant',
        request: { ID, TTL: String(this.#random.pick(TTLS)) },
      });
    }
    for (let made = 0; made < REQUESTS_PER_ROUND; made += 1) await this.#pair.call(this.#request());
    const leases = this.#pair.leases;
    const before = this.#pair.revision;
    using watches = this.#pair.openWatches();
    watches.send({ create_request: { ...EVERYTHING, prev_kv: true, start_revision: String(before + 1) } });
    await until('the leases to end', () => this.#areEnded(), { withinMs: ENDED_WITHIN_MS });
    await this.#pair.call({ service: 'KV', method: 'put', request: { key: Buffer.from('mark') } });
    await watches.settle(MANY_LOOKS);

    const [theirs, ours] = [endingsOf(watches.theirs, before), endingsOf(watches.ours, before)] as const;
    const found = difference('expiry', theirs, ours);
    if (found !== undefined) throw new DivergenceError(`leases that ended by themselves\n  ${found}`);
    this.#tally.expiry.add('leases', leases);
    this.#tally.expiry.add('keys', ours.events.flat().length - 1);
    await this.#pair.call({ service: 'KV', method: 'deleteRange', request: EVERYTHING });
  }

  async #areEnded(): Promise<boolean> {
    const answers = await this.#pair.callEach({ service: 'Lease', method: 'leaseLeases', request: {} });
    return answers.every((answer) => 'message' in answer && leasesOf(answer.message).length === 0);
  }

  #request(): WireRequest {
    const ID = this.#random.pick(LEASES);
    const key = this.#random.pick(KEYS);
    const put = { key, lease: this.#random.chance(0.8) ? ID : '0' };
    const share = this.#random.uniform();
    if (share < 0.55) return { service: 'KV', method: 'put', request: put };
    if (share < 0.65) return { service: 'KV', method: 'txn', request: { success: [{ request_put: put }] } };
    if (share < 0.75) return { service: 'KV', method: 'deleteRange', request: { key } };
    if (share < 0.85) return { service: 'Lease', method: 'leaseKeepAlive', request: { ID } };
    if (share < 0.9) return { service: 'Lease', method: 'leaseRevoke', request: { ID } };
    return { service: 'Lease', method: 'leaseTimeToLive', request: { ID, keys: true } };
  }
}

interface Endings {
  /** Counted from that before the first of them. */
  readonly revisions: readonly number[];
  /** What each revision did, in the order of the keys. */
  readonly events: readonly (readonly object[])[];
}

function endingsOf(watches: WatchMessages, before: number): Endings {
  const byRevision = new Map<number, { readonly key: string; readonly event: object }[]>();
  for (const { events } of [...watches.messages.values()].flat()) {
    for (const { kv, ...event } of events as readonly EventMessage[]) {
      const revision = Number(kv.mod_revision) - before;
      const key = kv.key.toString('latin1');
      byRevision.set(revision, [...(byRevision.get(revision) ?? []), { key, event: { key, ...event } }]);
    }
  }
  const endings = [...byRevision].toSorted(([a], [b]) => a - b);
  return {
    revisions: endings.map(([revision]) => revision),
    events: endings
      .map(([, events]) => events)
      .toSorted(([a], [b]) => ((a?.key ?? '') < (b?.key ?? '') ? -1 : 1))
      .map((events) => events.map(({ event }) => event)),
  };
}

interface EventMessage {
  readonly kv: { readonly key: Buffer; readonly mod_revision: string };
}

function leasesOf(message: unknown): readonly unknown[] {
  return (message as { readonly leases: readonly unknown[] }).leases;
}
