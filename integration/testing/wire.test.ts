import { isDeepStrictEqual } from 'node:util';
import test from 'ava';
import type { EtcdService } from '../../lib/store/etcd/protocol.ts';
import { startEmbeddedEtcd, type EmbeddedEtcd } from '../../lib/testing/index.ts';
import { SeededRandom } from '../../lib/testing/seeded-random.ts';
import { until } from '../lock/support/until.ts';
import { etcdVersions, type EtcdVersion } from '../provision/etcd.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { WireClient, type WatchMessages } from './wire-client.ts';
import { WireRequests } from './wire-requests.ts';

// The embedded etcd and a real one are sent the same messages, and must answer with the same, field by field: revisions, headers of
// nested operations, previous values, errors, and every message of every watch.

/** With HOLDFAST_WIRE_SEED and HOLDFAST_WIRE_REQUESTS another run, or a longer one. */
const seed = Number(process.env['HOLDFAST_WIRE_SEED'] ?? 1);
const requests = Number(process.env['HOLDFAST_WIRE_REQUESTS'] ?? 600);
const requestsPerStream = 60;

const MIB = 1024 * 1024;
const key = Buffer.from('k');
const end = Buffer.from([0]);

/** Single messages whose answers are worth a look, mostly refusals. They are sent in this order. */
const messages: readonly (readonly [service: EtcdService, method: string, request: object])[] = [
  ['KV', 'compact', { revision: '9' }],
  ['KV', 'compact', { revision: '-1' }],
  ['KV', 'put', { value: key }],
  ['KV', 'put', { key, value: key, ignore_value: true }],
  ['KV', 'put', { key, lease: '5', ignore_lease: true }],
  ['KV', 'put', { key, ignore_value: true }],
  ['KV', 'put', { key, lease: '5' }],
  ['KV', 'put', { key, value: Buffer.alloc(1.5 * MIB - 1_000) }],
  ['KV', 'put', { key, value: Buffer.alloc(1.5 * MIB - 10) }],
  ['KV', 'put', { key, value: Buffer.alloc(1.6 * MIB) }],
  ['KV', 'put', { key, value: Buffer.alloc(2.5 * MIB) }],
  ['KV', 'range', { range_end: end }],
  ['KV', 'range', { key, revision: '-4' }],
  ['KV', 'range', { key, revision: '99' }],
  ['KV', 'range', { key, range_end: Buffer.from('a') }],
  ['KV', 'txn', {}],
  ['KV', 'txn', { success: [{}] }],
  ['KV', 'txn', { success: [{ request_txn: {} }] }],
  ['KV', 'txn', { compare: [{ key, target: 'Value', value: Buffer.alloc(1.7 * MIB) }] }],
  ['KV', 'txn', { compare: [{ target: 'Version' }] }],
  ['KV', 'txn', { success: Array.from({ length: 129 }, () => ({ request_range: { key } })) }],
  ['KV', 'txn', { success: [{ request_put: { key } }, { request_delete_range: { key, range_end: end } }] }],
  ['KV', 'txn', { success: [{ request_put: { key } }, { request_txn: { failure: [{ request_put: { key } }] } }] }],
  ['Lease', 'leaseGrant', { ID: '-5', TTL: '10' }],
  ['Lease', 'leaseGrant', { ID: '6', TTL: '0' }],
  ['Lease', 'leaseGrant', { ID: '6', TTL: '10' }],
  ['Lease', 'leaseGrant', { ID: '7', TTL: '9000000001' }],
  ['Lease', 'leaseTimeToLive', { ID: '77', keys: true }],
  ['Lease', 'leaseTimeToLive', { ID: '-5' }],
  ['Lease', 'leaseRevoke', { ID: '77' }],
  ['Lease', 'leaseRevoke', { ID: '6' }],
  ['Lease', 'leaseLeases', {}],
  ['Auth', 'authenticate', { name: 'a', password: 'b' }],
];

for (const version of etcdVersions) {
  test.serial(`etcd ${version} and the embedded one answer single messages alike`, async (t) => {
    await using pair = await Pair.start(version);
    for (const [service, method, request] of messages) {
      const [theirs, ours] = await pair.call(service, method, request);
      t.deepEqual(ours, theirs, `${method} ${show(request)}`);
    }
  });

  test.serial(`etcd ${version} and the embedded one manage the watches of a stream alike`, async (t) => {
    await using pair = await Pair.start(version);
    const b = Buffer.from('b');
    for (const value of ['1', '2', '3']) await pair.call('KV', 'put', { key, value: Buffer.from(value) });
    await pair.call('KV', 'compact', { revision: '3' });
    using streams = pair.openWatches();
    using others = pair.openWatches();
    const create = (watch_id: number, rest: object): object => ({ create_request: { key, watch_id, ...rest } });
    for (const request of [
      create(0, {}),
      create(0, { start_revision: '3', prev_kv: true }),
      create(7, { start_revision: '2' }),
      create(7, { start_revision: '4', prev_kv: true }),
      create(7, {}),
      create(8, { range_end: b }),
      create(9, { range_end: end, key: Buffer.alloc(0), filters: ['Noput'] }),
      { cancel_request: { watch_id: '99' } },
      create(-9, { start_revision: '6' }),
    ]) {
      streams.send(request);
      // One after the other, since a stream of etcd's answers control messages and events in no order.
      await streams.agree();
    }
    await pair.call('KV', 'put', { key, value: b });
    await pair.call('KV', 'deleteRange', { key });
    streams.send({ cancel_request: { watch_id: '-9' } });
    await streams.agree();
    await pair.call('KV', 'put', { key, value: b });
    await streams.agree();
    t.deepEqual(streams.ours, streams.theirs);
    t.is(Object.keys(streams.ours).length, 6);

    for (const request of [create(5, { start_revision: '3' }), { progress_request: {} }]) {
      others.send(request);
      await others.agree();
    }
    t.deepEqual(others.ours, others.theirs);
    t.is(others.ours['-1']?.length, 1);
    if (version !== '3.5.30') return;
    // Older ones report progress also while one of the watches is ahead, or was cancelled by a compaction (3.4).
    for (const request of [create(6, { start_revision: '99' }), { progress_request: {} }]) {
      others.send(request);
      await others.agree();
    }
    streams.send({ progress_request: {} });
    await streams.agree();
    t.deepEqual(others.ours, others.theirs);
    t.deepEqual(streams.ours, streams.theirs);
  });

  test.serial(`etcd ${version} and the embedded one cut a long history into the same messages`, async (t) => {
    await using pair = await Pair.start(version);
    const put = (value: Buffer): object => ({ request_put: { key, value } });
    for (let count = 0; count < 1_010; count += 1) await pair.call('KV', 'txn', { success: [put(Buffer.from('1'))] });
    for (let count = 0; count < 6; count += 1) {
      const value = Buffer.alloc(0.4 * MIB);
      await pair.call('KV', 'put', { key, value });
    }
    using streams = pair.openWatches();
    streams.send({ create_request: { key, watch_id: '1', start_revision: '2', fragment: true } });
    await streams.agree();
    streams.send({ create_request: { key, watch_id: '2', start_revision: '2' } });
    await streams.agree();
    t.deepEqual(streams.ours, streams.theirs);
    t.deepEqual(
      Object.values(streams.ours).map(({ length }) => length),
      [4, 3],
    );
  });

  test.serial(
    `etcd ${version} and the embedded one answer ${requests} messages at random alike (seed ${seed})`,
    async (t) => {
      await using pair = await Pair.start(version);
      const random = new SeededRandom(seed);
      const source = new WireRequests(random);
      for (let count = 1; count <= requests; count += 1) {
        const { service, method, request } = source.next();
        const [theirs, ours] = await pair.call(service, method, request);
        t.deepEqual(ours, theirs, `message ${count}: ${method} ${show(request)}`);
        source.revision = Number(pair.revision);
        if (count % requestsPerStream > 0) continue;

        using streams = pair.openWatches();
        for (let id = 1; id <= 12; id += 1) streams.send(source.watch(id));
        await streams.agree();
        for (let write = 0; write < 10; write += 1) {
          const { service, method, request } = source.next();
          await pair.call(service, method, request);
        }
        await streams.agree();
        t.deepEqual(streams.ours, streams.theirs, `watches after message ${count}`);
        source.revision = Number(pair.revision);
      }
    },
  );
}

/** A real etcd and the embedded one. */
class Pair implements AsyncDisposable {
  readonly #real: EtcdServer;
  readonly #embedded: EmbeddedEtcd;
  readonly #clients: readonly [WireClient, WireClient];

  private constructor(real: EtcdServer, embedded: EmbeddedEtcd, clients: readonly [WireClient, WireClient]) {
    this.#real = real;
    this.#embedded = embedded;
    this.#clients = clients;
  }

  static async start(version: EtcdVersion): Promise<Pair> {
    const real = await EtcdServer.start({ version });
    const embedded = await startEmbeddedEtcd({ version: real.binaries.version });
    const clients = [await WireClient.connect(real.endpoint), await WireClient.connect(embedded.endpoint)] as const;
    return new Pair(real, embedded, clients);
  }

  get revision(): bigint {
    return this.#embedded.revision;
  }

  /** The real etcd's answer, and the embedded one's. */
  async call(service: EtcdService, method: string, request: object): Promise<readonly unknown[]> {
    return await Promise.all(this.#clients.map((client) => client.call(service, method, request)));
  }

  openWatches(): WatchPair {
    return new WatchPair(this.#clients[0].openWatches(), this.#clients[1].openWatches());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client[Symbol.dispose]();
    await this.#embedded.stop();
    await this.#real[Symbol.asyncDispose]();
  }
}

class WatchPair implements Disposable {
  readonly #real: WatchMessages;
  readonly #embedded: WatchMessages;

  constructor(real: WatchMessages, embedded: WatchMessages) {
    this.#real = real;
    this.#embedded = embedded;
  }

  get theirs(): WatchMessages['messages'] {
    return this.#real.messages;
  }

  get ours(): WatchMessages['messages'] {
    return this.#embedded.messages;
  }

  send(request: object): void {
    this.#real.send(request);
    this.#embedded.send(request);
  }

  /** Waits until both have said the same, and for a while longer: etcd looks ten times a second for watches that are behind. */
  async agree(): Promise<void> {
    const settledMs = 250;
    let since = performance.now();
    let last = -1;
    const isSettled = (): boolean => {
      const count = [this.ours, this.theirs]
        .flatMap((all) => Object.values(all))
        .reduce((sum, { length }) => sum + length, 0);
      if (count !== last) since = performance.now();
      last = count;
      return performance.now() - since > settledMs && isDeepStrictEqual(this.ours, this.theirs);
    };
    // If they never agree, the caller's comparison says where.
    await until('the same of both', isSettled, { withinMs: 3_000 }).catch(() => undefined);
  }

  [Symbol.dispose](): void {
    this.#real[Symbol.dispose]();
    this.#embedded[Symbol.dispose]();
  }
}

function show(request: object): string {
  return JSON.stringify(request, function (this: Record<string, unknown>, name, value: unknown) {
    const original = this[name];
    return Buffer.isBuffer(original) ? original.subarray(0, 20).toString('latin1') : value;
  }).slice(0, 1_000);
}
