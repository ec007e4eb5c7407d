/**
 * How long an election is without a leader, and with two, after what can happen to a leader: as parts of a TTL, which decides most of it.
 * Candidates are processes of their own, which record what they believe; npm etcd3's are in this process, and under the same partition.
 * And what it costs etcd that candidates wait.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Etcd3 } from 'etcd3';
import { clientFaults } from '../integration/election/faults.ts';
import type { Passage } from '../integration/election/terms.ts';
import { hold } from '../integration/election/trial.ts';
import { RpcCounts } from '../integration/lock/support/rpc-counts.ts';
import type { EtcdServer } from '../integration/servers/etcd-server.ts';
import { createCoordinator } from '../lib/index.ts';
import { FaultProxy } from '../lib/testing/fault-proxy.ts';
import type { Finding } from './findings.ts';
import { spreadOf } from './rounds.ts';

export interface ElectionOptions {
  readonly rounds: number;
  /** For how long candidates are watched as they wait. */
  readonly waitMs: number;
}

const TTL_MS = 5_000;
const CANDIDATES = 32;

/** TTL + 2 elections + 2 s, in TTLs. */
const BOUND = (TTL_MS + 2 * 1_000 + 2_000) / TTL_MS;

const KILLED = 'the leader is killed';
const CUT = 'the leader is cut off';
const PARTED = 'the leader is behind a blackhole';
const RESIGNS = 'the leader resigns';

export async function elections(etcd: EtcdServer, { rounds, waitMs }: ElectionOptions): Promise<readonly Finding[]> {
  const faults = clientFaults.filter(({ name }) => [KILLED, CUT, PARTED, RESIGNS].includes(name));
  const often = Array.from({ length: rounds }, () => faults).flat();
  const passages = await hold({ faults: often, elections: faults.length, candidates: 2, ttlMs: TTL_MS });
  const peers = await Promise.all(Array.from({ length: rounds }, (_, round) => partPeers(etcd, round)));
  const after = (name: string): Finding['measured'] =>
    spreadOf(
      passages.filter(({ fault }) => fault === name),
      ({ tookMs }) => tookMs / TTL_MS,
    );
  const unit = 'TTL';
  return [
    {
      what: 'two leaders after a partition, TTL 5 s: holdfast',
      measured: spreadOf(
        passages.filter(({ fault }) => fault === PARTED),
        twoLeaders,
      ),
      unit,
      target: { atMost: 0 },
    },
    { what: 'two leaders after a partition, TTL 5 s: npm etcd3', measured: spreadOf(peers, twoLeaders), unit },
    {
      what: 'the next leader after a SIGKILL',
      measured: after(KILLED),
      unit,
      target: { atMost: BOUND, why: 'TTL + 2 elections + 2 s' },
    },
    { what: 'the next leader after a cut', measured: after(CUT), unit, target: { atMost: BOUND, why: 'the same' } },
    {
      what: 'the next leader after a partition',
      measured: after(PARTED),
      unit,
      target: { atMost: BOUND, why: 'the same' },
    },
    {
      what: 'the next leader after a resignation, with 50 ms for the work to end',
      measured: after(RESIGNS),
      unit,
      target: { atMost: 0.05, why: 'at once' },
    },
    await callsOfWaiting(etcd, waitMs),
  ];
}

/** For how long both believed in themselves, in TTLs. */
function twoLeaders({ overlapMs }: Pick<Passage, 'overlapMs'>): number {
  return Math.max(0, overlapMs) / TTL_MS;
}

/** The leader is put behind a blackhole; it believes in itself until its campaign emits an error, as its documentation has it. */
async function partPeers(etcd: EtcdServer, round: number): Promise<{ readonly overlapMs: number }> {
  await using proxy = await FaultProxy.start(etcd.endpoint);
  const [far, near] = [new Etcd3({ hosts: proxy.endpoint }), new Etcd3({ hosts: etcd.endpoint })];
  try {
    const campaign = (client: Etcd3, value: string) => client.election(`peer-${round}`, TTL_MS / 1_000).campaign(value);
    const first = campaign(far, 'far');
    await once(first, 'elected');
    const second = campaign(near, 'near');
    await once(second, '_isWaiting');
    const over = new Promise<number>((resolve) => {
      first.once('error', () => resolve(performance.now()));
    });
    proxy.blackhole();
    await once(second, 'elected');
    const electedAt = performance.now();
    const overlapMs = (await over) - electedAt;
    first.on('error', () => undefined);
    proxy.heal();
    await Promise.all([first.resign(), second.resign()].map((resigning) => resigning.catch(() => undefined)));
    return { overlapMs };
  } finally {
    far.close();
    near.close();
  }
}

/** Sessions with so long a TTL that what they cost anyway, renewals and audits, does not fall into the time that is counted. */
async function callsOfWaiting(etcd: EtcdServer, waitMs: number): Promise<Finding> {
  const coordinators = Array.from({ length: CANDIDATES }, () =>
    createCoordinator({ endpoints: etcd.endpoint, namespace: 'bench-elections', session: { ttlMs: 600_000 } }),
  );
  try {
    await Promise.all(coordinators.map((coordinator) => coordinator.ready({ timeoutMs: 30_000 })));
    const joining = await RpcCounts.start(etcd);
    const campaigns = coordinators.map((coordinator) => coordinator.election('waiting').campaign());
    const abandoned = Promise.allSettled(campaigns);
    await Promise.race(campaigns);
    /* Each watches who is before it, and the leader its own key. */
    await joining.until('WatchRequests', CANDIDATES);
    await sleep(1_000);
    const counts = await RpcCounts.start(etcd);
    await sleep(waitMs);
    const calls = Object.values(await counts.sinceStart()).reduce((sum, count) => sum + count, 0);
    await Promise.all(coordinators.map((coordinator) => coordinator.close({ drainMs: 0 })));
    await abandoned;
    return {
      what: `messages to etcd of ${CANDIDATES} candidates in ${waitMs / 1_000} s of waiting, besides their sessions'`,
      measured: calls,
      target: { atMost: 0 },
    };
  } finally {
    await Promise.all(coordinators.map((coordinator) => coordinator.close({ drainMs: 0 })));
  }
}
