import { RpcCounts } from '../integration/lock/support/rpc-counts.ts';
/**
 * A lock that one process takes again and again, and nobody else wants: kept after its release, and handed on among those who wait here. Neither
 * asks etcd for anything, so what it costs is processor time.
 */
import type { EtcdServer } from '../integration/servers/etcd-server.ts';
import { createCoordinator } from '../lib/index.ts';
import type { Finding } from './findings.ts';
import { spreadOf } from './rounds.ts';
import { callsOf } from './server-calls.ts';

export interface LingerOptions {
  readonly rounds: number;
  readonly cycles: number;
}

/** A key is renewed after as many handoffs as fit into a token. */
const HANDOFFS = 4_095;

/** Those who wait for a lock that is handed on. */
const CALLERS = 16;

interface Round {
  readonly microseconds: number;
  readonly calls: number;
}

export async function linger(etcd: EtcdServer, { rounds, cycles }: LingerOptions): Promise<readonly Finding[]> {
  /* A long TTL, so that no renewal and no audit falls into the time that is counted. */
  await using coordinator = createCoordinator({
    endpoints: etcd.endpoint,
    namespace: 'bench-linger',
    session: { ttlMs: 600_000 },
  });
  await coordinator.ready();
  const kept = coordinator.lock('kept', { lingerMs: 60_000 });
  const again = async (count: number): Promise<void> => {
    for (let cycle = 0; cycle < count; cycle += 1) await (await kept.acquire()).release();
  };
  const passed = coordinator.lock('passed');
  const around = async (count: number): Promise<void> => {
    const each = async (): Promise<void> => {
      for (let cycle = 0; cycle < count / CALLERS; cycle += 1) await (await passed.acquire()).release();
    };
    await Promise.all(Array.from({ length: CALLERS }, each));
  };

  const all: Record<'kept' | 'passed', Round[]> = { kept: [], passed: [] };
  await again(cycles);
  await around(cycles);
  for (let round = 0; round < rounds; round += 1) {
    all.kept.push(await measure(etcd, cycles, again));
    all.passed.push(await measure(etcd, cycles, around));
  }
  const time = (of: readonly Round[]) => spreadOf(of, ({ microseconds }) => microseconds);
  return [
    {
      what: 'a lock again that lingers: processor time of a cycle',
      measured: time(all.kept),
      unit: 'µs',
      target: { atMost: 5 },
    },
    {
      what: 'a lock again that lingers: RPCs, of one for each 4,095 cycles',
      measured: spreadOf(all.kept, ({ calls }) => calls / Math.max(1, Math.ceil(cycles / HANDOFFS))),
      target: { atMost: 2, why: 'a renewal of the key is two' },
    },
    {
      what: `a lock that is handed on among ${CALLERS} callers of a process: processor time of a cycle`,
      measured: time(all.passed),
      unit: 'µs',
    },
  ];
}

async function measure(etcd: EtcdServer, cycles: number, act: (count: number) => Promise<void>): Promise<Round> {
  const counts = await RpcCounts.start(etcd);
  const before = process.cpuUsage();
  await act(cycles);
  const { user, system } = process.cpuUsage(before);
  return { microseconds: (user + system) / cycles, calls: callsOf(await counts.sinceStart()) };
}
