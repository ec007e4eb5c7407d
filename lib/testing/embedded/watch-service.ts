import type { Clock } from '../../runtime/clock.ts';
import type { MemoryCluster } from '../../store/memory/memory-cluster.ts';
import { Refusal } from '../../store/memory/refusal.ts';
import type { Watcher } from '../../store/memory/watchers.ts';
import type { StoreError } from '../../store/store-error.ts';
import type { KeyValue, WatchBatch, WatchEvent } from '../../store/store.ts';
import { toBytes } from './bytes.ts';
import type { MessageStream, ServiceHandlers } from './grpc-server.ts';
import type { Member } from './member.ts';
import type { EventMessage, WatchCreateRequest, WatchRequest, WatchResponse } from './messages.ts';
import { toSpan } from './requests.ts';
import { fromKeyValue } from './responses.ts';
import { fragmentsOf, partsOf, revisionOf } from './watch-responses.ts';

/** The ID of what belongs to no watch. */
const NO_WATCH = '-1';

export interface WatchServiceOptions {
  /** How often a watch that asked for it is told the revision while nothing happens; etcd's default is ten minutes. */
  readonly progressNotifyMs: number;
}

export function watchService(
  clock: Clock,
  cluster: MemoryCluster,
  member: Member,
  options: WatchServiceOptions,
): ServiceHandlers {
  const watch = (stream: MessageStream<WatchRequest, WatchResponse>): void => {
    const watches = new WatchStream(clock, cluster, member, stream, options);
    stream.onMessage((request) => watches.receive(request));
    stream.onEnd(() => watches.end());
  };
  return { streams: { watch } };
}

/** A watch of the stream, as its client asked for it. */
interface Watch {
  readonly id: string;
  readonly request: WatchCreateRequest;
  /** `0n`: from the creation on. */
  readonly startRevision: bigint;
  /** Its history was compacted: it has ended, but its ID is taken until the client cancels it too. */
  isCompacted: boolean;
  /** Whether it was told anything since progress was last reported. */
  isFresh: boolean;
  end: () => void;
}

/**
 * The watches of one stream, as `etcdserver/api/v3rpc/watch.go` serves them:
 *
 * 1. create: answered at once, by `created`; a watch that cannot be is `canceled` in the same answer, under no ID.
 * 2. events: whole revisions, filtered, with what was before them if that is asked for and still there.
 * 3. compaction: a watch whose history is gone is cancelled with the compact revision.
 * 4. progress: on request for the stream as a whole, if no watch waits for its start or was cancelled by a compaction; by the clock for watches that asked for it.
 * 5. cancel: answered for a watch that exists, and silent otherwise.
 */
class WatchStream {
  readonly #clock: Clock;
  readonly #cluster: MemoryCluster;
  readonly #member: Member;
  readonly #stream: MessageStream<WatchRequest, WatchResponse>;
  readonly #progressNotifyMs: number;
  readonly #watches = new Map<string, Watch>();
  #nextId = 0;
  #cancelTimer: (() => void) | undefined;

  constructor(
    clock: Clock,
    cluster: MemoryCluster,
    member: Member,
    stream: MessageStream<WatchRequest, WatchResponse>,
    { progressNotifyMs }: WatchServiceOptions,
  ) {
    this.#clock = clock;
    this.#cluster = cluster;
    this.#member = member;
    this.#stream = stream;
    this.#progressNotifyMs = progressNotifyMs;
  }

  receive({ create_request, cancel_request, progress_request }: WatchRequest): void {
    if (create_request) this.#create(create_request);
    else if (cancel_request) this.#cancel(cancel_request.watch_id);
    else if (progress_request) this.#reportProgress();
  }

  end(): void {
    this.#cancelTimer?.();
    for (const watch of this.#watches.values()) watch.end();
    this.#watches.clear();
  }

  #create(request: WatchCreateRequest): void {
    const header = this.#member.header();
    const startRevision = BigInt(request.start_revision);
    const refusal = this.#refusal(request, startRevision);
    if (refusal !== undefined) {
      this.#stream.send({ header, watch_id: NO_WATCH, created: true, canceled: true, cancel_reason: refusal });
      return;
    }
    const id = request.watch_id === '0' ? this.#newId() : request.watch_id;
    this.#stream.send({ header, watch_id: id, created: true });
    this.#open({ id, request, startRevision, isCompacted: false, isFresh: false, end: () => undefined });
  }

  /** Why there can be no such watch, in etcd's words. */
  #refusal({ watch_id, key, range_end }: WatchCreateRequest, startRevision: bigint): string | undefined {
    if (startRevision < 0n) return 'etcdserver: mvcc: required revision has been compacted';
    const isWithoutEnd = range_end.length === 1 && range_end[0] === 0;
    if (range_end.length > 0 && !isWithoutEnd && key.compare(range_end) >= 0) return 'mvcc: watcher range is empty';
    if (this.#watches.has(watch_id) && watch_id !== '0') {
      return 'mvcc: duplicate watch ID provided on the WatchStream';
    }
    return undefined;
  }

  #newId(): string {
    while (this.#watches.has(String(this.#nextId))) this.#nextId += 1;
    return String(this.#nextId++);
  }

  #open(watch: Watch): void {
    const { id, request, startRevision } = watch;
    this.#watches.set(id, watch);
    // An empty key stands for the first one there can be.
    const key = request.key.length === 0 ? Buffer.from([0]) : request.key;
    const watcher: Watcher = {
      request: {
        span: toSpan({ key, range_end: request.range_end }),
        fromRevision: startRevision === 0n ? this.#cluster.revision + 1n : startRevision,
      },
      deliver: (batch) => this.#deliver(watch, batch),
      fail: (error) => this.#fail(watch, error),
    };
    watch.end = this.#cluster.watch(watcher);
    if (request.progress_notify) this.#cancelTimer ??= this.#scheduleProgress();
  }

  #deliver(watch: Watch, { events }: WatchBatch): void {
    const { filters, fragment } = watch.request;
    const wanted = events.filter((event) => !filters.includes(event.type === 'put' ? 'Noput' : 'Nodelete'));
    for (const part of partsOf(wanted)) {
      const response: WatchResponse = {
        header: this.#member.header(),
        watch_id: watch.id,
        events: part.map((event) => this.#message(watch, event)),
      };
      for (const each of fragment ? fragmentsOf(response) : [response]) this.#stream.send(each);
      watch.isFresh = true;
    }
  }

  #message({ request }: Watch, event: WatchEvent): EventMessage {
    const before = request.prev_kv ? this.#before(event) : undefined;
    const prev_kv = before === undefined ? {} : { prev_kv: fromKeyValue(before) };
    if (event.type === 'put') return { type: 'Put', kv: fromKeyValue(event.entry), ...prev_kv };
    return { type: 'Delete', kv: { key: toBytes(event.key), mod_revision: String(event.modRevision) }, ...prev_kv };
  }

  /** What the event replaced, unless that has been compacted. */
  #before(event: WatchEvent): KeyValue | undefined {
    if (event.type === 'put' && event.entry.version === 1n) return undefined;
    const key = event.type === 'put' ? event.entry.key : event.key;
    try {
      return this.#cluster.range({ key, revision: revisionOf(event) - 1n }).entries[0];
    } catch (error) {
      if (error instanceof Refusal && error.reason === 'compacted') return undefined;
      throw error;
    }
  }

  /** The history from its start on is gone. */
  #fail(watch: Watch, { compactRevision }: StoreError): void {
    watch.isCompacted = true;
    this.#stream.send({
      header: this.#member.header(0n),
      watch_id: watch.id,
      canceled: true,
      compact_revision: String(compactRevision ?? 0n),
    });
  }

  #cancel(id: string): void {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    this.#watches.delete(id);
    watch.end();
    this.#stream.send({ header: this.#member.header(), watch_id: id, canceled: true });
  }

  #reportProgress(): void {
    const watches = [...this.#watches.values()];
    const isInStep = ({ startRevision, isCompacted }: Watch): boolean =>
      !isCompacted && startRevision <= this.#cluster.revision;
    if (watches.length === 0 || !watches.every(isInStep)) return;
    this.#stream.send({ header: this.#member.header(), watch_id: NO_WATCH });
  }

  #scheduleProgress(): () => void {
    return this.#clock.schedule(this.#progressNotifyMs, () => {
      for (const watch of this.#watches.values()) {
        if (!watch.request.progress_notify || watch.isCompacted) continue;
        if (!watch.isFresh) this.#stream.send({ header: this.#member.header(), watch_id: watch.id });
        watch.isFresh = false;
      }
      this.#cancelTimer = this.#scheduleProgress();
    });
  }
}
