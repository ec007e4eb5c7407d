/**
 * What a benchmark's driver asks of a process, line by line on standard input and output, so that programs in any language are driven by
 * the same code:
 *
 * | asked                                  | answered                                                                              |
 * |----------------------------------------|---------------------------------------------------------------------------------------|
 * | `callers N`                            | `callers`, once N callers have all that they need before they can ask for a lock       |
 * | `cycle CALLERS MILLISECONDS NAME`      | `cycle CYCLES MICROSECONDS`: each acquires and releases a lock of its own until then    |
 * | `contend NAME CALLERS WARM COUNTED`    | `contend SERVED FAILED WAITS`: all want one lock, for so many milliseconds to warm up and |
 * |                                        | so many that count. How many were ever served, how many calls failed, waits in microseconds |
 * | `hold NAME`                            | `hold`, once it has the lock                                                            |
 * | `release NAME`                         | `release`, once it is released                                                          |
 * | `keep COUNT NAME`                      | `keep BYTES`: it holds so many locks now, with so much heap for each, once all is settled |
 *
 * `failed REASON` answers anything. A process ends when its input does.
 */
import { setMaxListeners } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { heap } from '../heap.ts';

export type Release = () => Promise<unknown>;

/** One of those who want locks, with whatever it may not share with others. */
export interface Caller {
  /** Waits for the lock. A client that can give up waiting does so when the signal aborts, and rejects; another one goes on. */
  acquire(name: string, signal: AbortSignal): Promise<Release>;
}

export interface Peer {
  caller(): Promise<Caller>;
  close(): Promise<unknown> | void;
}

/** How many locks are asked for at once where all of them are only to be held. */
const AT_ONCE = 50;

/** By then a held lock has all that it keeps for as long as it is held: holdfast's is watched after 250 ms. */
const SETTLED_MS = 2_000;

/** Who is refused tries again, but not in a loop without end in one turn. */
const AFTER_FAILURE_MS = 10;

/** What the driver tells a process on its command line. */
export interface PeerArguments {
  /** Of the server, as a URL. */
  readonly endpoint: string;
  readonly ttlMs: number;
  /** Which of its kinds of lock a program shall use. */
  readonly kind: string;
}

export function peerArguments(): PeerArguments {
  const [endpoint = '', ttlMs = '', kind = ''] = process.argv.slice(2);
  return { endpoint, ttlMs: Number(ttlMs), kind };
}

/** Does what the driver asks, until its input ends. */
export async function serve(peer: Peer): Promise<void> {
  const driven = new DrivenPeer(peer);
  const answers: Promise<void>[] = [];
  for await (const line of createInterface({ input: process.stdin })) {
    const answered = driven.answer(line.trim().split(' ')).then(
      (answer) => console.log(answer),
      (error: unknown) => console.log(`failed ${String(error).replaceAll('\n', ' ')}`),
    );
    answers.push(answered);
  }
  await peer.close();
  process.exit();
}

class DrivenPeer {
  readonly #peer: Peer;
  readonly #callers: Caller[] = [];
  readonly #held = new Map<string, Release>();

  constructor(peer: Peer) {
    this.#peer = peer;
  }

  async answer([command = '', ...words]: readonly string[]): Promise<string> {
    const [first = '', second = '', third = '', fourth = ''] = words;
    switch (command) {
      case 'callers':
        await this.#caller(Number(first) - 1);
        return command;
      case 'cycle':
        return `${command} ${await this.#cycle(Number(first), Number(second), third)}`;
      case 'contend':
        return `${command} ${await this.#contend(first, Number(second), Number(third), Number(fourth))}`;
      case 'hold':
        await this.#hold(first);
        return command;
      case 'release':
        await this.#held.get(first)?.();
        return command;
      case 'keep':
        return `${command} ${await this.#keep(Number(first), second)}`;
      default:
        throw new Error(`Expected a command, got ${command}`);
    }
  }

  async #cycle(callers: number, durationMs: number, name: string): Promise<string> {
    const { signal } = new AbortController();
    const startedAt = performance.now();
    let cycles = 0;
    const turn = async (index: number): Promise<void> => {
      const caller = this.#known(index);
      while (performance.now() - startedAt < durationMs) {
        const release = await caller.acquire(`${name}-${index}`, signal);
        await release();
        cycles += 1;
      }
    };
    await Promise.all(Array.from({ length: callers }, (_, index) => turn(index)));
    return `${cycles} ${Math.round((performance.now() - startedAt) * 1_000)}`;
  }

  /** Whoever waits when the time is over gives up, or lets go of the lock as soon as it comes. */
  async #contend(name: string, callers: number, warmMs: number, countedMs: number): Promise<string> {
    const over = new AbortController();
    setMaxListeners(0, over.signal);
    const waits: number[] = [];
    const served = new Set<number>();
    let failed = 0;
    const countsFrom = performance.now() + warmMs;
    const timer = setTimeout(() => over.abort(), warmMs + countedMs);
    const wants = async (index: number): Promise<void> => {
      const caller = this.#known(index);
      while (!over.signal.aborted) {
        const askedAt = performance.now();
        try {
          const release = await caller.acquire(name, over.signal);
          const grantedAt = performance.now();
          if (!over.signal.aborted) {
            if (grantedAt >= countsFrom) waits.push(Math.round((grantedAt - askedAt) * 1_000));
            served.add(index);
          }
          await release();
        } catch {
          if (over.signal.aborted) return;
          failed += 1;
          await sleep(AFTER_FAILURE_MS);
        }
      }
    };
    await Promise.all(Array.from({ length: callers }, (_, index) => wants(index)));
    clearTimeout(timer);
    return `${served.size} ${failed} ${waits.join(',')}`;
  }

  async #hold(name: string): Promise<void> {
    const caller = await this.#caller(0);
    this.#held.set(name, await caller.acquire(name, new AbortController().signal));
  }

  async #keep(count: number, name: string): Promise<number> {
    const caller = await this.#caller(0);
    const releases: Release[] = [];
    const { signal } = new AbortController();
    /* Once for nothing: what is made with the first use of anything is no lock's. */
    await (
      await caller.acquire(`${name}-first`, signal)
    )();
    const before = await heap();
    for (let start = 0; start < count; start += AT_ONCE) {
      const names = Array.from({ length: Math.min(AT_ONCE, count - start) }, (_, index) => `${name}-${start + index}`);
      releases.push(...(await Promise.all(names.map((each) => caller.acquire(each, signal)))));
    }
    await sleep(SETTLED_MS);
    const perLock = ((await heap()) - before) / count;
    this.#held.set(name, () => Promise.all(releases.map((release) => release())));
    return Math.round(perLock);
  }

  async #caller(index: number): Promise<Caller> {
    while (this.#callers.length <= index) this.#callers.push(await this.#peer.caller());
    return this.#known(index);
  }

  #known(index: number): Caller {
    const caller = this.#callers[index];
    if (caller === undefined) throw new Error(`Expected \`callers ${index + 1}\` before`);
    return caller;
  }
}
