import type { SeededRandom } from '../../lib/testing/seeded-random.ts';
import { opensAlike, reportsProgressAlike, setAside } from './known-divergences.ts';
import { DivergenceError, MANY_LOOKS, type Pair, type WatchPair } from './pair.ts';
import type { Tally } from './tally.ts';
import { WireRequests } from './wire-requests.ts';

/** How many requests are made under the same watches. */
const REQUESTS_PER_EPOCH = 500;
const STREAMS = 3;
const WATCHES_PER_STREAM = 10;

/** What is told of a revision goes down a stream before what is told of a later one: so a stream that has told of the mark has told the rest. */
const MARK = Buffer.from('mark');
const MARK_WATCH = '1000';

/**
 * Random requests, one after the other, under random watches.
 *
 * Each request waits for both answers to the one before: their order decides what they answer, and neither HTTP/2 nor etcd promises that
 * requests which are under way together are applied in the order in which they were sent. In epochs:
 *
 * 1. some streams of watches are opened, one from the present and the others from all kinds of revisions; both have to have told them of the past before it goes on;
 * 2. requests are made, each answered alike; before history is compacted, watches get time to read of it what they want to;
 * 3. some watches are cancelled, streams are asked for their progress, and a few more requests are made;
 * 4. every message of every watch has to be the same.
 */
export class Conversation {
  readonly #pair: Pair;
  readonly #tally: Tally;
  readonly #random: SeededRandom;
  readonly #source: WireRequests;
  #isCompacted = false;
  #streams: readonly WatchPair[] = [];

  constructor(pair: Pair, tally: Tally, random: SeededRandom) {
    this.#pair = pair;
    this.#tally = tally;
    this.#random = random;
    this.#source = new WireRequests(random);
  }

  async run(requests: number, signal: AbortSignal): Promise<void> {
    for (let made = 0; made < requests && !signal.aborted; made += REQUESTS_PER_EPOCH) {
      try {
        await this.#epoch(Math.min(REQUESTS_PER_EPOCH, requests - made));
      } catch (error) {
        if (!(error instanceof DivergenceError)) throw error;
        throw new DivergenceError(`after ${this.#tally.requests.total} requests: ${error.message}`);
      }
    }
  }

  async #epoch(requests: number): Promise<void> {
    const streams = Array.from({ length: STREAMS }, () => this.#pair.openWatches());
    this.#streams = streams;
    try {
      for (const [index, stream] of streams.entries()) {
        stream.send({ create_request: { key: MARK, watch_id: MARK_WATCH } });
        // An ID of 0 leaves the choice to the server; with the others it is sometimes the same twice.
        for (let watch = 0; watch < WATCHES_PER_STREAM; watch += 1) {
          const id = this.#random.integer(0, WATCHES_PER_STREAM * 2);
          const watch = this.#source.watch(id, { isPresent: index === 0 });
          if (opensAlike(this.#pair.version, watch.create_request.start_revision)) stream.send(watch);
          else this.#tally.setAside.add('a watch from a revision below zero');
        }
      }
      // Of a past with large values, both may still be about to tell.
      await this.#agree(MANY_LOOKS);
      const last = Math.min(20, requests);
      await this.#makeRequests(requests - last);
      await this.#catchUp();
      for (const [index, stream] of streams.entries()) this.#controlWatches(stream, index === 0);
      await this.#agree(MANY_LOOKS);
      await this.#makeRequests(last);
      await this.#catchUp();
      await this.#agree(MANY_LOOKS);
      for (const stream of streams) this.#count(stream);
    } finally {
      this.#streams = [];
      for (const stream of streams) stream[Symbol.dispose]();
    }
  }

  async #makeRequests(count: number): Promise<void> {
    for (let made = 0; made < count;) {
      const request = this.#source.next();
      const known = setAside.find(({ concerns }) => concerns(request, { isCompacted: this.#isCompacted }));
      if (known !== undefined) {
        this.#tally.setAside.add(known.name);
        continue;
      }
      if (request.method === 'compact') await this.#catchUp();
      const answer = await this.#pair.call(request);
      this.#tally.add(request, answer);
      if (request.method === 'compact' && 'message' in answer) this.#isCompacted = true;
      this.#source.revision = this.#pair.revision;
      made += 1;
    }
  }

  /** Cancels a watch, or one that there is not, and asks for progress where the versions agree about it. */
  #controlWatches(stream: WatchPair, areAllInStep: boolean): void {
    stream.send({ cancel_request: { watch_id: String(this.#random.integer(0, WATCHES_PER_STREAM * 2)) } });
    if (reportsProgressAlike(this.#pair.version, areAllInStep)) stream.send({ progress_request: {} });
  }

  /** Waits until every watch was told all there is to tell. The one put that it takes does not count. */
  async #catchUp(): Promise<void> {
    await this.#pair.call({ service: 'KV', method: 'put', request: { key: MARK } });
    const { revision } = this.#pair;
    this.#source.revision = revision;
    await Promise.all(this.#streams.map((stream) => stream.reach(MARK_WATCH, revision)));
    await this.#agree();
  }

  async #agree(quietLooks?: number): Promise<void> {
    await Promise.all(this.#streams.map((stream) => stream.agree(quietLooks)));
  }

  #count({ events, ours }: WatchPair): void {
    const { watches } = this.#tally;
    watches.add('events', events);
    for (const [id, messages] of ours.messages) {
      for (const { created, canceled, compact_revision, cancel_reason } of messages) {
        if (created === true) watches.add(canceled === true ? `refused: ${String(cancel_reason)}` : 'created');
        else if (compact_revision !== '0') watches.add('ended by a compaction');
        else if (canceled === true) watches.add('cancelled');
        else if (id === '-1') watches.add('progress reported');
      }
    }
  }
}
