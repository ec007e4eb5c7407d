/**
 * One writer, and 1 or 1,000 watchers of one prefix in one process: how long a write takes to all of them, from before it is sent, and what
 * it costs the server. The two take turns.
 */
import { Etcd3 } from 'etcd3';
import type { EtcdServer } from '../integration/servers/etcd-server.ts';
import { createCoordinator, type Cache } from '../lib/index.ts';
import type { Finding } from './findings.ts';
import { quantile, spreadOf } from './rounds.ts';

export interface FanOutOptions {
  readonly rounds: number;
  /** Writes of each round, one after the other. */
  readonly writes: number;
}

const CROWD = 1_000;

/** What one turn has shown. */
interface Turn {
  readonly p50: number;
  readonly p99: number;
  readonly sentBytesPerWrite: number;
  readonly streams: number;
}

export async function fanOut(etcd: EtcdServer, { rounds, writes }: FanOutOptions): Promise<readonly Finding[]> {
  const raw = new Etcd3({ hosts: etcd.endpoint });
  try {
    const streamsBefore = await streamsOf(etcd);
    await using coordinator = createCoordinator({ endpoints: etcd.endpoint, namespace: 'bench-fan-out' });
    const cache = coordinator.cache('routes/');
    await cache.ready();
    const take = async (watchers: number): Promise<Turn> => {
      const turn = await deliver(etcd, raw, cache, { watchers, writes });
      return { ...turn, streams: turn.streams - streamsBefore };
    };
    await take(1);
    await take(CROWD);
    const turns: { readonly alone: Turn; readonly crowd: Turn }[] = [];
    for (let round = 0; round < rounds; round += 1) {
      turns.push(
        round % 2 === 0
          ? { alone: await take(1), crowd: await take(CROWD) }
          : await take(CROWD).then(async (crowd) => ({ crowd, alone: await take(1) })),
      );
    }
    return [
      {
        what: 'a write to 1,000 watchers, p50: of the p50 to one watcher',
        measured: spreadOf(turns, ({ alone, crowd }) => crowd.p50 / alone.p50),
      },
      {
        what: 'a write to 1,000 watchers, p99: of the p99 to one watcher',
        measured: spreadOf(turns, ({ alone, crowd }) => crowd.p99 / alone.p99),
        target: { atMost: 2 },
      },
      {
        what: 'watch streams at the server for 1,000 watchers',
        measured: Math.max(...turns.map(({ crowd }) => crowd.streams)),
        target: { atMost: 1 },
      },
      {
        what: 'bytes sent by the server per write: 1,000 watchers to one',
        measured: spreadOf(turns, ({ alone, crowd }) => crowd.sentBytesPerWrite / alone.sentBytesPerWrite),
        target: { atMost: 1.05, why: 'independent of watchers' },
      },
    ];
  } finally {
    raw.close();
  }
}

async function deliver(
  etcd: EtcdServer,
  raw: Etcd3,
  cache: Cache,
  { watchers, writes }: { readonly watchers: number; readonly writes: number },
): Promise<Turn> {
  const sentAt: number[] = [];
  const taken: number[] = [];
  const readers = Array.from({ length: watchers }, async () => {
    let left = writes;
    for await (const change of cache.watch()) {
      if (change.type !== 'put') continue;
      taken.push(performance.now() - (sentAt[Number(change.value)] ?? Number.NaN));
      left -= 1;
      if (left === 0) return;
    }
  });
  const bytesBefore = await sentBytesOf(etcd);
  for (let write = 0; write < writes; write += 1) {
    sentAt.push(performance.now());
    await raw.put('bench-fan-out/cache/routes/eu').value(String(write)).exec();
  }
  await Promise.all(readers);
  const sentBytesPerWrite = ((await sentBytesOf(etcd)) - bytesBefore) / writes;
  const sorted = taken.toSorted((a, b) => a - b);
  return {
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    sentBytesPerWrite,
    streams: await streamsOf(etcd),
  };
}

async function streamsOf(etcd: EtcdServer): Promise<number> {
  return (await etcd.metrics()).get('etcd_debugging_mvcc_watch_stream_total') ?? Number.NaN;
}

async function sentBytesOf(etcd: EtcdServer): Promise<number> {
  return (await etcd.metrics()).get('etcd_network_client_grpc_sent_bytes_total') ?? Number.NaN;
}
