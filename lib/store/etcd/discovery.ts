/**
 * Keeps the endpoints of a store up to date, from DNS and from the cluster's own member list.
 *
 * 1. It begins with the store's first call, and asks each source on its own, again and again: after an answer about every `everyMs`, after a
 *    failure sooner, with full jitter. Each question has a deadline.
 * 2. An answer that cannot be used is a failure. A failure never takes anything away: what is known goes on in use.
 * 3. What all sources know is put in one order of preference, anew only when it is something else than before.
 *
 * Not guaranteed: that what is known is up to date, or that everybody who answers belongs to one cluster. The sources are believed as far as
 * their own protection goes: TLS for the member list, and none for plain DNS.
 */
import { fullJitterMs } from '../../resilience/backoff.ts';
import { sleep } from '../../runtime/clock.ts';
import { withinDeadline } from '../../runtime/deadline.ts';
import { shuffled, type Random } from '../../runtime/random.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { StoreError } from '../store-error.ts';
import type { Endpoint } from './endpoints.ts';
import type { Members } from './members.ts';
import { drawTargets, type SrvTarget } from './srv.ts';

/** What is to be followed. */
export interface DiscoveryOptions {
  /** The domain whose SRV records are asked for. */
  readonly srv?: string | undefined;
  readonly members: boolean;
  readonly everyMs: number;
}

/** One question to one source, whatever the source does. */
const ASK_TIMEOUT_MS = 5_000;

/** After a failure. */
const RETRY = { baseMs: 250, capMs: 10_000 };

/** What is known, by who said it. */
export interface Known {
  readonly configured: readonly Endpoint[];
  readonly srv: readonly SrvTarget[];
  readonly members: readonly Endpoint[];
}

export interface Source {
  /** For the log, and for the timeouts of calls that wait for it. */
  readonly name: string;
  /** Rejects if there is nothing that can be used. */
  ask(signal: AbortSignal, known: Known): Promise<Pick<Known, 'srv'> | Pick<Known, 'members'>>;
}

export class Discovery {
  readonly #runtime: Runtime;
  readonly #followers: readonly Pick<Members, 'update' | 'lack'>[];
  readonly #sources: readonly Source[];
  readonly #everyMs: number;
  readonly #closed = new AbortController();
  #known: Known;
  #isRunning = false;

  constructor(
    runtime: Runtime,
    followers: readonly Pick<Members, 'update' | 'lack'>[],
    configured: readonly Endpoint[],
    sources: readonly Source[],
    { everyMs }: Pick<DiscoveryOptions, 'everyMs'>,
  ) {
    this.#runtime = runtime;
    this.#followers = followers;
    this.#known = { configured, srv: [], members: [] };
    this.#sources = sources;
    this.#everyMs = everyMs;
  }

  /** 1. Idempotent. */
  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    for (const source of this.#sources) void this.#follow(source);
  }

  close(): void {
    this.#isRunning = true;
    this.#closed.abort(new StoreError('closed', 'permanent', 'The store was closed'));
  }

  async #follow(source: Source): Promise<void> {
    const { clock, random } = this.#runtime;
    const { signal } = this.#closed;
    let failures = 0;
    let reported: string | undefined;
    while (!signal.aborted) {
      let pauseMs = this.#everyMs * (0.9 + 0.2 * random.uniform());
      try {
        const found = await withinDeadline(clock, ASK_TIMEOUT_MS, signal, (part) => source.ask(part, this.#known));
        if (signal.aborted) return;
        failures = 0;
        reported = undefined;
        this.#learn(source, found);
      } catch (error) {
        /* 2 */
        if (signal.aborted) return;
        const { message } = error as Error;
        /* The first source finds a first endpoint: the others are asked there. */
        if (source === this.#sources[0]) {
          for (const follower of this.#followers) follower.lack(`${source.name} (${message})`);
        }
        if (kindOf(error) !== reported) this.#report(source, message);
        reported = kindOf(error);
        /* What somebody has to change first is not asked for more often. */
        const isRefused = error instanceof StoreError && error.outcome === 'permanent';
        const capMs = Math.min(RETRY.capMs, this.#everyMs);
        if (!isRefused) pauseMs = fullJitterMs(failures, { ...RETRY, capMs }, () => random.uniform());
        failures += 1;
      }
      await sleep(clock, pauseMs, signal).catch(() => undefined);
    }
  }

  /** 3 */
  #learn(source: Source, found: Partial<Known>): void {
    const before = identityOf(this.#known);
    this.#known = { ...this.#known, ...found };
    if (identityOf(this.#known) === before) return;
    /* Each draws for itself, as each did at the start. */
    for (const follower of this.#followers) follower.update(inOrder(this.#known, this.#runtime.random));
    this.#runtime.logger.info(`etcd's endpoints changed by ${source.name}`, {
      event: 'store.endpoints',
      endpoints: urlsOf(this.#known),
    });
  }

  #report(source: Source, message: string): void {
    this.#runtime.logger.warn(`No endpoints from ${source.name}; those that are known stay in use: ${message}`, {
      event: 'store.undiscovered',
      endpoints: urlsOf(this.#known),
    });
  }
}

/**
 * The members first, since they are the cluster's own word; then what DNS and the configuration name besides: a load balancer, or the way
 * back in after every member was replaced.
 */
export function inOrder({ configured, srv, members }: Known, random: Random): readonly Endpoint[] {
  const all = [...shuffled(members, random), ...drawTargets(srv, random), ...shuffled(configured, random)];
  return [...new Map(all.map((endpoint) => [endpoint.url, endpoint])).values()];
}

/** The same text for what is the same, in whichever order it came. */
function identityOf({ srv, members }: Known): string {
  const targets = srv.map(({ endpoint, priority, weight }) => `${endpoint.url} ${priority} ${weight}`);
  return [...targets.toSorted(), '', ...members.map(({ url }) => url).toSorted()].join('\n');
}

function urlsOf({ configured, srv, members }: Known): readonly string[] {
  const endpoints = [...members, ...srv.map(({ endpoint }) => endpoint), ...configured];
  return [...new Set(endpoints.map(({ url }) => url))];
}

/** Equal for a failure that goes on, though it is another member each time that says so. */
function kindOf(error: unknown): string {
  if (error instanceof StoreError) return error.reason;
  return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
}
