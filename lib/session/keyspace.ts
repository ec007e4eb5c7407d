/**
 * Where things live in etcd. Everything of a coordinator is below `<namespace>/`:
 *
 *     <namespace>/session/<leaseHex>                       who a lease belongs to; on the lease
 *     <namespace>/epoch                                    the operator's epoch, 0–255, absent for 0
 *     <namespace>/cache/<prefix><key>                      cached entries, as they are
 *     <namespace>/config/<name>                            a config entry: an envelope with its version
 *     <namespace>/config-history/<name>/<version>          its versions
 *     <namespace>/config-rollout/<name>/<leaseHex>-<nonce> what an instance has applied; on the lease
 *     <namespace>/registry/<name>/<leaseHex>-<nonce>       a member of a registry; on the lease
 *     <namespace>/partition-member/<name>/<leaseHex>-…     one that owns partitions; on the lease
 *     <namespace>/partition/<name>/<number>/<leaseHex>-…   one place in the wait queue of a partition; on the lease
 *     <namespace>/<kind>/<name>/<leaseHex>-<ms>-<nonce>    one place in a wait queue; on the lease
 *     <namespace>/semaphore-slot/<name>/<number>           who has a permit of a semaphore; on the lease
 *     <namespace>/schedule-job/<name>/last                 the tick up to which a job is settled
 *     <namespace>/schedule-job/<name>/paused               while it stands, the job starts nothing
 *     <namespace>/schedule-job/<name>/trigger              a request to run the job now, until it is claimed
 *     <namespace>/schedule-job/<name>/history/<ms>-<…>     what became of its ticks
 *     <namespace>/once/<key>                               what came of work that is done once; on a lease of its own
 *     <namespace>/clock/question                           put to ask all schedulers what time it is
 *     <namespace>/clock/answer/<leaseHex>                  a scheduler, and its last answer; on the lease
 *
 * The queue keys have the layout of etcd's Go concurrency package, so `etcdctl lock <namespace>/lock/<name>` contends with us.
 */
import { expectText, show } from '../arguments.ts';

/** What a wait queue is of; it is the second segment of its keys in etcd. */
export type QueueKind = 'lock' | 'election' | 'schedule' | 'semaphore' | 'rwlock' | 'partition' | 'once-turn';

export type RegistryKind = 'registry' | 'partition-member';

/** The longest name, in bytes of UTF-8. It stands in every key and in every log line. */
const MAX_NAME_BYTES = 1_024;

const PLAIN = /^[A-Za-z0-9._:@-]$/;

/**
 * One segment of a key: plain ASCII letters, digits and `. _ : @ -` stay readable, every other byte is percent-encoded. So a name
 * has no `/`, and `a` and `a/b` never share a prefix. Throws a TypeError for what cannot be a name.
 */
function encodeSegment(what: string, name: string): string {
  expectText(what, name);
  if (/\p{Surrogate}/u.test(name))
    throw new TypeError(`Expected ${what} to be well-formed Unicode, got a lone surrogate in ${show(name)}`);
  const bytes = Buffer.from(name, 'utf8');
  if (bytes.length > MAX_NAME_BYTES) {
    throw new TypeError(`Expected ${what} to be at most ${MAX_NAME_BYTES} bytes of UTF-8, got ${bytes.length}`);
  }
  let encoded = '';
  for (const byte of bytes) {
    const character = String.fromCharCode(byte);
    encoded += PLAIN.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

/** Segments between `/`, each encoded; empty ones stay empty. */
export function encodePath(what: string, path: string): string {
  expectText(what, path);
  return path
    .split('/')
    .map((segment) => (segment === '' ? '' : encodeSegment(what, segment)))
    .join('/');
}

/** The name that {@link encodeSegment} made a segment of; a segment that is none comes back as it is. */
function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** The path that {@link encodePath} made. */
export function decodePath(path: string): string {
  return path.split('/').map(decodeSegment).join('/');
}

export class Keyspace {
  /** As it was given. */
  readonly namespace: string;
  readonly #root: string;

  constructor(namespace: string) {
    if (typeof namespace === 'string' && namespace.includes('/')) {
      throw new TypeError(`Expected namespace to have no "/", got ${show(namespace)}`);
    }
    this.#root = encodeSegment('namespace', namespace);
    this.namespace = namespace;
  }

  get epoch(): string {
    return `${this.#root}/epoch`;
  }

  get sessions(): string {
    return `${this.#root}/session/`;
  }

  session(lease: bigint): string {
    return `${this.sessions}${leaseHex(lease)}`;
  }

  /** The prefix of everything of one kind (`lock`, `config-history`): the next segment is a name. */
  kind(kind: string): string {
    return `${this.#root}/${kind}/`;
  }

  /** A config entry, the versions in its history, and which instance has applied which of them. */
  config(name: string): { readonly current: string; readonly history: string; readonly rollout: string } {
    const segment = encodeSegment('the name of the config', name);
    return {
      current: `${this.#root}/config/${segment}`,
      history: `${this.#root}/config-history/${segment}/`,
      rollout: `${this.#root}/config-rollout/${segment}/`,
    };
  }

  /** The prefix of a cache. Its `/` stay, so that one cache can be part of another. */
  cache(prefix: string): string {
    return `${this.#root}/cache/${encodePath('the prefix of the cache', prefix)}`;
  }

  /** What is written down of a scheduled job. Who leads it is told by its queue of the kind `schedule`. */
  job(name: string): {
    readonly prefix: string;
    readonly last: string;
    readonly paused: string;
    readonly trigger: string;
    readonly history: string;
  } {
    const prefix = `${this.kind('schedule-job')}${encodeSegment('the name of the schedule', name)}/`;
    return {
      prefix,
      last: `${prefix}last`,
      paused: `${prefix}paused`,
      trigger: `${prefix}trigger`,
      history: `${prefix}history/`,
    };
  }

  /** Where schedulers ask each other what time it is. */
  get clock(): { readonly question: string; readonly answers: string } {
    return { question: `${this.#root}/clock/question`, answers: `${this.#root}/clock/answer/` };
  }

  /** The slots of a semaphore. */
  slots(name: string): string {
    return `${this.#root}/semaphore-slot/${encodeSegment('the name of the semaphore', name)}/`;
  }

  /** The prefix under which the members of `name` are. */
  members(kind: RegistryKind, name: string): string {
    return `${this.#root}/${kind}/${encodeSegment(`the name of the ${kind === 'registry' ? kind : 'partitions'}`, name)}/`;
  }

  /** The record of work that is done once. Whose turn it is to do it is told by its queue of the kind `once-turn`. */
  once(key: string): string {
    return `${this.#root}/once/${encodeSegment('the key of once', key)}`;
  }

  /** The prefix under which the contenders for `name` queue. */
  queue(kind: QueueKind, name: string): string {
    return `${this.kind(kind)}${encodeSegment(`the name of the ${kind}`, name)}/`;
  }
}

/** A lease ID as etcd's tools print it: hexadecimal, without leading zeros. */
export function leaseHex(lease: bigint): string {
  return lease.toString(16);
}

/**
 * The last segment of a queue key. Beside what makes it ours alone it says when it was asked for, by the clock of whoever asked: for people
 * who look, and for nothing else.
 */
export function queueSegment(lease: bigint, wallMs: number, nonce: bigint): string {
  return `${leaseHex(lease)}-${Math.floor(wallMs).toString(36)}-${nonce.toString(36)}`;
}

/** When a queue key was asked for, in milliseconds since the epoch; `undefined` for a Go client's. */
export function askedAtOf(key: string): number | undefined {
  const match = /\/[0-9a-f]{1,16}-([0-9a-z]{1,11})-[^/]*$/.exec(key);
  return match?.[1] === undefined ? undefined : Number.parseInt(match[1], 36);
}

/** The lease in the last segment of a queue key, ours (`<leaseHex>-<ms>-<nonce>`) or a Go client's (`<leaseHex>`). */
export function leaseOfQueueKey(key: string): bigint | undefined {
  const match = /\/([0-9a-f]{1,16})(-[^/]*)?$/.exec(key);
  return match?.[1] === undefined ? undefined : BigInt(`0x${match[1]}`);
}
