/**
 * What a process asks of etcd while nothing happens, by what it has open: the formula of docs/capacity.md, beside what etcd counted. Each
 * kit is measured in as many processes' coordinators, which differ in nothing else.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { RpcCounts } from '../integration/lock/support/rpc-counts.ts';
import type { EtcdServer } from '../integration/servers/etcd-server.ts';
import { createCoordinator, type Coordinator } from '../lib/index.ts';
import type { Finding, Results } from './findings.ts';

export interface CapacityOptions {
  readonly processes: number;
  /** What passes before anything counts. */
  readonly settleMs: number;
  readonly watchedMs: number;
}

/** What one process has open. */
interface Holdings {
  readonly ttlMs: number;
  readonly freshnessMs: number;
  /** Prefixes that are cached, and config entries. */
  readonly replicas: number;
}

/** Calls of one process in a second, at rest. Held locks, waiting contenders, candidates and watchers add nothing to it. */
function callsAtRest({ ttlMs, freshnessMs, replicas }: Holdings): {
  /** Messages on a stream, which the leader answers from memory. */
  readonly renewals: number;
  /** Each a transaction, which goes through raft, and a look at the lease. */
  readonly audits: number;
  /** Linearizable reads of one key. */
  readonly proofs: number;
} {
  /* A third of the TTL, less up to a tenth of it. */
  const renewals = 3 / (0.95 * (ttlMs / 1_000));
  return { renewals, audits: renewals / 3, proofs: replicas / (freshnessMs / 1_000) };
}

const TTL_MS = 6_000;
const FRESHNESS_MS = 5_000;
const CANDIDATES_PER_ELECTION = 5;
const WATCHERS = 10;
const WRITES = 20;

interface Kit {
  readonly name: string;
  readonly replicas: number;
  /** Opens it, and does not wait for what only ends with the coordinator. */
  readonly open: (coordinator: Coordinator, index: number) => Promise<unknown>;
}

const KITS: readonly Kit[] = [
  { name: 'nothing but its session', replicas: 0, open: async () => undefined },
  {
    name: '10 held locks',
    replicas: 0,
    open: (coordinator, index) =>
      Promise.all(
        Array.from({ length: 10 }, (_, lock) =>
          coordinator.lock(`own-${index}-${lock}`).acquire({ waitForRecovery: true }),
        ),
      ),
  },
  {
    name: 'one of all who want one lock',
    replicas: 0,
    open: async (coordinator) => void coordinator.lock('wanted').acquire({ waitForRecovery: true }).catch(ignore),
  },
  {
    name: 'a candidate of five',
    replicas: 0,
    open: async (coordinator, index) =>
      void coordinator
        .election(`role-${Math.floor(index / CANDIDATES_PER_ELECTION)}`)
        .campaign()
        .catch(ignore),
  },
  {
    name: '3 cached prefixes with 10 watchers each',
    replicas: 3,
    open: async (coordinator) => {
      for (const prefix of ['routes/', 'flags/', 'peers/']) {
        const cache = coordinator.cache(prefix, { freshnessMs: FRESHNESS_MS });
        await cache.ready({ timeoutMs: 30_000 });
        for (let watcher = 0; watcher < WATCHERS; watcher += 1) void cache.watch().next().catch(ignore);
      }
    },
  },
  {
    name: '2 config entries',
    replicas: 2,
    open: async (coordinator) => {
      for (const name of ['limits', 'prices']) coordinator.config(name, { freshnessMs: FRESHNESS_MS });
    },
  },
  {
    name: 'a schedule, once a year',
    replicas: 0,
    open: async (coordinator) => void coordinator.schedule('yearly', '0 0 1 1 *', () => {}),
  },
];

export async function capacity(etcd: EtcdServer, options: CapacityOptions): Promise<Results> {
  const measured: { readonly kit: Kit; readonly perProcess: Readonly<Record<string, number>> }[] = [];
  for (const [index, kit] of KITS.entries()) {
    measured.push({ kit, perProcess: await measure(etcd, `bench-capacity-${index}`, kit, options) });
  }
  const events = await eventsOf(etcd, options);
  const predicted = (kit: Kit) => callsAtRest({ ttlMs: TTL_MS, freshnessMs: FRESHNESS_MS, replicas: kit.replicas });
  const shown = (rate: number): string => rate.toFixed(3);
  return {
    findings: [
      ...measured.map(({ kit, perProcess }): Finding => {
        const { renewals, audits, proofs } = predicted(kit);
        const all = Object.values(perProcess).reduce((sum, rate) => sum + rate, 0);
        return {
          what: `at rest, ${kit.name}: calls, of what the formula says`,
          measured: all / (renewals + 2 * audits + proofs),
          target: { atMost: 1.15, why: 'and what chance adds' },
        };
      }),
      {
        what: `messages on watches for a write that ${options.processes} processes follow, with 10 watchers each: of the processes`,
        measured: events / options.processes,
        target: { atMost: 1.1, why: 'one each' },
      },
    ],
    sheets: [
      {
        title: `Calls of one process in a second, at rest (of ${options.processes}; TTL 6 s, freshness 5 s)`,
        head: ['it has', 'renewals', 'transactions', 'looks at the lease', 'reads', 'watch requests', 'the formula'],
        rows: measured.map(({ kit, perProcess }) => {
          const { renewals, audits, proofs } = predicted(kit);
          const methods = ['Renewals', 'Txn', 'LeaseTimeToLive', 'Range', 'WatchRequests'];
          return [
            kit.name,
            ...methods.map((method) => shown(perProcess[method] ?? 0)),
            [renewals, audits, audits, proofs].map(shown).join(' + '),
          ];
        }),
      },
    ],
  };
}

/** In each second, of each process, by method. */
async function measure(
  etcd: EtcdServer,
  namespace: string,
  kit: Kit,
  { processes, settleMs, watchedMs }: CapacityOptions,
): Promise<Readonly<Record<string, number>>> {
  const coordinators = Array.from({ length: processes }, () =>
    createCoordinator({ endpoints: etcd.endpoint, namespace, session: { ttlMs: TTL_MS } }),
  );
  try {
    await Promise.all(coordinators.map((coordinator) => coordinator.ready({ timeoutMs: 30_000 })));
    await Promise.all(coordinators.map((coordinator, index) => kit.open(coordinator, index)));
    /* Until everybody is in its queue and has its watch, and those with a schedule have compared their clocks. */
    await sleep(settleMs);
    const counts = await RpcCounts.start(etcd);
    const startedAt = performance.now();
    await sleep(watchedMs);
    const passed = (performance.now() - startedAt) / 1_000;
    const { leases: _, ...calls } = await counts.sinceStart();
    return Object.fromEntries(Object.entries(calls).map(([method, count]) => [method, count / passed / processes]));
  } finally {
    await Promise.all(coordinators.map((coordinator) => coordinator.close({ drainMs: 0 })));
  }
}

/** What etcd sends on watches for each write to a prefix that everybody follows. */
async function eventsOf(etcd: EtcdServer, { processes, settleMs }: CapacityOptions): Promise<number> {
  const namespace = 'bench-capacity-events';
  const coordinators = Array.from({ length: processes }, () =>
    createCoordinator({ endpoints: etcd.endpoint, namespace, session: { ttlMs: 60_000 } }),
  );
  try {
    const caches = coordinators.map((coordinator) => coordinator.cache('routes/', { freshnessMs: 60_000 }));
    await Promise.all(caches.map((cache) => cache.ready({ timeoutMs: 30_000 })));
    for (const cache of caches) {
      for (let watcher = 0; watcher < WATCHERS; watcher += 1) void cache.watch().next().catch(ignore);
    }
    await sleep(settleMs);
    const before = await sentOnWatches(etcd);
    for (let write = 0; write < WRITES; write += 1) await etcd.etcdctl(['put', `${namespace}/cache/routes/eu`, 'x']);
    await sleep(1_000);
    return ((await sentOnWatches(etcd)) - before) / WRITES;
  } finally {
    await Promise.all(coordinators.map((coordinator) => coordinator.close({ drainMs: 0 })));
  }
}

async function sentOnWatches(etcd: EtcdServer): Promise<number> {
  const metrics = await etcd.metrics();
  const isSent = (sample: string): boolean => /^grpc_server_msg_sent_total\{.*grpc_method="Watch"/.test(sample);
  return [...metrics].reduce((sum, [sample, value]) => sum + (isSent(sample) ? value : 0), 0);
}

function ignore(): void {
  // It ends with its coordinator.
}
