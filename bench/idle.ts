/** What 1,000 locks cost that are only held: at etcd, and on the heap of who holds them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { RpcCounts } from '../integration/lock/support/rpc-counts.ts';
import type { EtcdServer } from '../integration/servers/etcd-server.ts';
import { showSpread, type Finding, type Results } from './findings.ts';
import { ETCD3_LOCK, GO_MUTEX, HOLDFAST, type Program } from './programs.ts';
import { spreadOf } from './rounds.ts';
import type { Site } from './site.ts';

export interface IdleOptions {
  readonly locks: number;
  readonly rounds: number;
  /** For how long renewals are counted, in milliseconds. */
  readonly watchedMs: number;
}

const TTL_MS = 10_000;

interface Turn {
  readonly leases: number;
  readonly streams: number;
  readonly renewalsPerSecond: number;
  readonly heap: number;
}

export async function idle(site: Site, options: IdleOptions): Promise<Results> {
  const programs = await site.present([HOLDFAST, GO_MUTEX, ETCD3_LOCK]);
  const measured = new Map<Program, Turn[]>(programs.map((program) => [program, []]));
  for (let round = 0; round < options.rounds; round += 1) {
    for (const program of programs) {
      measured.get(program)?.push(await keep(site, program, `kept-${round}`, options));
    }
  }
  const ours = measured.get(HOLDFAST) ?? [];
  const what = `${options.locks} held locks, TTL ${TTL_MS / 1_000} s`;
  const findings: readonly Finding[] = [
    { what: `${what}: leases`, measured: spreadOf(ours, ({ leases }) => leases), target: { atMost: 1 } },
    {
      what: `${what}: renewals a second`,
      measured: spreadOf(ours, ({ renewalsPerSecond }) => renewalsPerSecond),
      target: { atMost: 0.4 },
    },
    {
      what: `${what}: heap of each`,
      measured: spreadOf(ours, ({ heap }) => heap),
      unit: 'bytes',
      target: { atMost: 2_048 },
    },
    {
      what: `${what}: heap of each, of npm etcd3's`,
      measured: spreadOf(
        ours.map((turn, round) => [turn, measured.get(ETCD3_LOCK)?.[round]] as const),
        ([own, other]) => own.heap / (other?.heap ?? Number.NaN),
      ),
    },
  ];
  const sheet = {
    title: `${options.locks} held locks, TTL ${TTL_MS / 1_000} s`,
    head: ['', 'leases', 'streams', 'renewals/s', 'heap of each, bytes'],
    rows: [...measured].map(([program, all]) => [
      program.name,
      showSpread(spreadOf(all, ({ leases }) => leases)),
      showSpread(spreadOf(all, ({ streams }) => streams)),
      showSpread(spreadOf(all, ({ renewalsPerSecond }) => renewalsPerSecond)),
      showSpread(spreadOf(all, ({ heap }) => heap)),
    ]),
  };
  return { findings, sheets: [sheet] };
}

async function keep(site: Site, program: Program, name: string, { locks, watchedMs }: IdleOptions): Promise<Turn> {
  const before = await standing(site.etcd);
  await using peer = await site.start(program, { ttlMs: TTL_MS });
  const [bytes] = await peer.ask('keep', locks, name);
  const counts = await RpcCounts.start(site.etcd);
  await sleep(watchedMs);
  const renewals = (await counts.sinceStart())['Renewals'] ?? 0;
  const after = await standing(site.etcd);
  await peer.ask('release', name);
  return {
    leases: after.leases - before.leases,
    streams: after.streams - before.streams,
    renewalsPerSecond: renewals / (watchedMs / 1_000),
    heap: Number(bytes),
  };
}

/** The leases and the streams that there are now. */
async function standing(etcd: EtcdServer): Promise<{ readonly leases: number; readonly streams: number }> {
  const metrics = await etcd.metrics();
  const sum = (name: RegExp): number =>
    [...metrics].reduce((total, [sample, value]) => total + (name.test(sample) ? value : 0), 0);
  const streams =
    sum(/^grpc_server_started_total\{.*grpc_type="bidi_stream"/) -
    sum(/^grpc_server_handled_total\{.*grpc_type="bidi_stream"/);
  const leases =
    (metrics.get('etcd_debugging_lease_granted_total') ?? 0) - (metrics.get('etcd_debugging_lease_revoked_total') ?? 0);
  return { leases, streams };
}
