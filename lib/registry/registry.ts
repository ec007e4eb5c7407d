/**
 * Service discovery: who is there, from memory.
 *
 * Guarantees. `members` and `pick` do no I/O and go on through an outage, with their age. A member is registered only while its check passes,
 * and its registration ends with its session: a process that vanishes is gone within its TTL and an election. What it takes back is gone
 * when `leave` resolves. Readers follow by a watch, so they know within a delivery, and prove now and then that they have missed nothing.
 *
 * Not guaranteed. That a member answers: it may have gone a moment ago, or be out of reach from here alone. So a pick has alternates,
 * and {@link Registry.call} goes on to them where nothing was sent. A registry is no lock: two can believe to be the only one.
 */
import {
  expectBoolean,
  expectFunction,
  expectOptions,
  expectSignal,
  expectText,
  expectWholeNumber,
} from '../arguments.ts';
import { CoordinationUnavailableError, NoMemberError } from '../errors.ts';
import { ReaderCalls, type CallOptions, type ReaderContext } from '../replica/reader-calls.ts';
import type { Replica } from '../replica/replica.ts';
import type { Replicas, ReplicaShare } from '../replica/replicas.ts';
import { mayRepeat, verdictOf, type Verdict } from '../resilience/verdict.ts';
import { elapsedMs, type Instant } from '../runtime/clock.ts';
import { Latest } from '../sequence/latest.ts';
import { mapped } from '../sequence/mapped.ts';
import type { Sequence } from '../sequence/sequence.ts';
import type { Keyspace, RegistryKind } from '../session/keyspace.ts';
import { membersOf, sealMember, type Member } from './member.ts';
import { Membership } from './membership.ts';
import { Registration, type RegistrationContext } from './registration.ts';
import {
  completeRegisterOptions,
  completeRegistryOptions,
  type RegisterOptions,
  type RegistryOptions,
} from './registry-options.ts';
import { rendezvousOrder } from './rendezvous.ts';

/** Which order to pick in. */
export interface PickOptions {
  /**
   * Whoever picks with the same key gets the same order, in whatever process, as far as they know the same members.
   * @default none: an order by chance
   */
  readonly key?: string | undefined;
}

/** How far to go on where a member failed. */
export interface RegistryCallOptions extends PickOptions {
  /**
   * How many members are tried at most.
   * @default 3
   */
  readonly attempts?: number | undefined;
  /**
   * Whether another member may be tried where it is not known whether the first one has done it.
   * @default false
   */
  readonly idempotent?: boolean | undefined;
  /**
   * What an error says of the call, as in `createPolicy`.
   * @default by the error: `transient` where there was no connection, `unknown` for most others
   */
  readonly classify?: ((error: unknown) => Verdict) | undefined;
  /** Ends it. It is given to the work, too. */
  readonly signal?: AbortSignal | undefined;
}

/** What the registries of one coordinator share. */
export interface RegistryContext extends ReaderContext, RegistrationContext {
  readonly replicas: Replicas;
  readonly keyspace: Keyspace;
  /** Throws ClosedError once the coordinator closes. */
  readonly expectOpen: () => void;
  /** Those that are open, for the coordinator to close. */
  readonly opened: Set<{ close(): Promise<void> }>;
}

/** Every reader keeps all of them; who has more needs another kind of discovery. */
const MAX_MEMBERS = 10_000;
const MAX_BYTES = 32 * 1024 * 1024;

/** Who could not be reached is tried last for so long, in milliseconds. By then its lease may have ended, or it is back. */
const AVOID_MS = 5_000;

/**
 * Who is there under a name, from memory, through an outage too. Made by `coordinator.registry`. That a member answers is not known: it may have gone
 * a moment ago, or be out of reach from here alone.
 */
export class Registry implements AsyncDisposable {
  /** As it was given to the coordinator. */
  readonly name: string;
  readonly #context: RegistryContext;
  readonly #prefix: string;
  readonly #shown: string;
  readonly #calls: ReaderCalls;
  readonly #share: ReplicaShare;
  readonly #replica: Replica;
  readonly #known = new Latest<Membership | undefined>(undefined);
  readonly #strictMs: number | undefined;
  readonly #unfollow: () => void;
  /** By address: when it was last out of reach. */
  readonly #avoided = new Map<string, Instant>();

  /** @internal */
  constructor(context: RegistryContext, name: string, options: RegistryOptions, kind: RegistryKind = 'registry') {
    const { freshnessMs, isStrict, maxStalenessMs } = completeRegistryOptions(options);
    this.name = name;
    this.#context = context;
    this.#prefix = context.keyspace.members(kind, name);
    this.#shown = `${kind === 'registry' ? 'registry' : 'the members of partitions'} ${JSON.stringify(name)}`;
    this.#calls = new ReaderCalls(context, { subject: capital(this.#shown), object: this.#shown });
    this.#strictMs = isStrict ? maxStalenessMs : undefined;
    this.#share = context.replicas.open({
      span: { prefix: this.#prefix },
      freshnessMs,
      maxEntries: MAX_MEMBERS,
      maxBytes: MAX_BYTES,
      /* Who owned partitions when a file was written says nothing about now, and somebody would act on it. */
      hasSnapshot: kind === 'registry',
    });
    this.#replica = this.#share.replica;
    if (this.#replica.origin !== 'nothing') this.#apply();
    this.#unfollow = this.#replica.follow({ changed: () => this.#apply() });
    context.opened.add(this);
  }

  /**
   * Resolves once it is known who is there. Rejects with CoordinationUnavailableError after `timeoutMs` (default: the request's deadline),
   * AccessDeniedError, ClosedError.
   */
  async ready(
    options: { readonly timeoutMs?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    expectOptions('ready', options, ['timeoutMs', 'signal']);
    await this.#read(options, (signal) => this.#replica.reached(0n, signal));
  }

  /** Resolves once what is known is proved, through raft, to be the store's. Errors as {@link ready}. */
  async confirm(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    expectOptions('confirm', options, ['signal']);
    await this.#read(options, (signal) => this.#replica.confirm(signal));
  }

  /**
   * Who is there, from memory; no I/O. Throws CoordinationUnavailableError while nothing is known: nobody and "nobody knows" are two things.
   * With `onStale: 'throw'`: TooStaleError for what is older than `maxStalenessMs`.
   */
  members(): Membership {
    if (this.#strictMs !== undefined) this.#calls.expectFresh(this.#replica, this.#strictMs);
    const known = this.#known.value;
    if (known !== undefined) return known;
    throw new CoordinationUnavailableError(`Nothing is known of ${this.#shown} yet. Await ready().`, {
      cause: this.#replica.failure,
    });
  }

  /** Who is there, as soon as that is known, then each change, conflated to the newest for a slow reader. Ends with {@link close}. */
  watch(options: { readonly signal?: AbortSignal | undefined } = {}): Sequence<Membership> {
    expectOptions('watch', options, ['signal']);
    return mapped(this.#known.watch(expectSignal(options.signal)), (known) =>
      known === undefined ? undefined : { value: known },
    );
  }

  /**
   * The members in the order in which to try them: the first is the pick, the others are its alternates, and last come those that were out of
   * reach for {@link call} a moment ago. From memory; empty if nobody is there. Throws as {@link members}.
   */
  pick(options: PickOptions = {}): readonly Member[] {
    expectOptions('pick', options, ['key']);
    const { key } = options;
    if (key !== undefined) expectText('key', key);
    const { members } = this.members();
    const order = key === undefined ? this.#shuffled(members) : ordered(key, members);
    const isAvoided = ({ address }: Member): boolean => this.#isAvoided(address);
    return [...order.filter((member) => !isAvoided(member)), ...order.filter(isAvoided)];
  }

  /**
   * Does `work` with a member, and with the next one where it failed before anything was sent. What may have been done is not done again,
   * unless it is `idempotent`. Rejects with the last member's error; NoMemberError if nobody is there; as {@link members} throws. Its
   * deadlines are the work's own, or those of a policy around it.
   */
  async call<T>(
    work: (
      member: Member,
      context: { readonly signal: AbortSignal | undefined; readonly attempt: number },
    ) => Promise<T> | T,
    options: RegistryCallOptions = {},
  ): Promise<T> {
    expectFunction('the work of call', work);
    expectOptions('call', options, ['key', 'attempts', 'idempotent', 'classify', 'signal']);
    const { key, attempts = 3, idempotent = false, classify = verdictOf } = options;
    expectWholeNumber('attempts', attempts, 1, MAX_MEMBERS);
    expectBoolean('idempotent', idempotent);
    expectFunction('classify', classify);
    const signal = expectSignal(options.signal);
    const candidates = this.pick({ key }).slice(0, attempts);
    for (const [index, member] of candidates.entries()) {
      signal?.throwIfAborted();
      try {
        const result = await work(member, { signal, attempt: index + 1 });
        this.#avoided.delete(member.address);
        return result;
      } catch (error) {
        const verdict = classify(error);
        if (verdict === 'transient') this.#avoided.set(member.address, this.#context.runtime.clock.now());
        if (signal?.aborted === true || index + 1 === candidates.length || !mayRepeat(verdict, idempotent)) throw error;
      }
    }
    const { ageMs, source } = this.members();
    throw new NoMemberError(
      `Nobody is registered in ${this.#shown} (${source}, ${Math.round(ageMs)} ms old). Nothing was sent.`,
    );
  }

  /**
   * Registers this process, in the background, and for as long as its check passes: see `status` and `registered()` of what it returns. Throws
   * a TypeError, RangeError or LimitExceededError for what cannot be registered, ClosedError.
   */
  register(options: RegisterOptions): Registration {
    const complete = completeRegisterOptions(options);
    const { instanceId } = this.#context;
    sealMember({ instanceId, address: complete.address, metadata: complete.metadata });
    this.#context.expectOpen();
    this.#calls.expectOpen();
    return new Registration(this.#context, this.#prefix, this.#shown, complete);
  }

  /** Stops following. What is known stays readable, and grows older. Registrations stay until they leave. Idempotent. */
  async close(): Promise<void> {
    this.#calls.close();
    this.#context.opened.delete(this);
    this.#unfollow();
    this.#known.close();
    await this.#share.release();
  }

  /** Closes, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #apply(): void {
    const { entries, revision } = this.#replica;
    const members = membersOf(entries.values());
    this.#known.set(new Membership(this.#replica, members, revision));
    const addresses = new Set(members.map(({ address }) => address));
    for (const address of this.#avoided.keys()) if (!addresses.has(address)) this.#avoided.delete(address);
  }

  #isAvoided(address: string): boolean {
    const at = this.#avoided.get(address);
    return at !== undefined && elapsedMs(at, this.#context.runtime.clock.now()) < AVOID_MS;
  }

  #shuffled(members: readonly Member[]): readonly Member[] {
    const { random } = this.#context.runtime;
    return members
      .map((member) => ({ member, draw: random.uniform() }))
      .toSorted((a, b) => a.draw - b.draw)
      .map(({ member }) => member);
  }

  #read(options: CallOptions, act: (signal: AbortSignal) => Promise<void>): Promise<void> {
    return this.#calls.read('read', { ...options, why: () => this.#replica.failure }, act);
  }
}

function ordered(key: string, members: readonly Member[]): readonly Member[] {
  const byAddress = new Map(members.map((member) => [member.address, member]));
  return rendezvousOrder(key, [...byAddress.keys()]).flatMap((address) => byAddress.get(address) ?? []);
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
