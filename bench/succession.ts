/**
 * One process has the lock, another waits for it: how long until the other has it after the first released it, and after the first was
 * killed. Both ends are taken by the driver's clock, from the moment before it tells the first to the moment that it hears from the
 * second, so a turn of two pipes is in every number, and the same for all.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Crew, turns } from './crew.ts';
import { showSpread, type Finding, type Results, type Sheet, type Spread } from './findings.ts';
import type { PeerProcess } from './peer-process.ts';
import { ETCD3_ELECTION, ETCD3_LOCK, GO_ELECTION, GO_MUTEX, HOLDFAST, type Program } from './programs.ts';
import { quantile, spreadOf } from './rounds.ts';
import type { Site } from './site.ts';

export interface HandOverOptions {
  readonly rounds: number;
  /** In each round. */
  readonly handOvers: number;
}

export interface FailoverOptions {
  readonly rounds: number;
  readonly ttlMs: number;
}

/** Nobody knows for how long a waiter has waited when its turn comes: from a moment to several of etcd's rounds of 100 ms. */
const WAITED_MS = { from: 20, to: 220 };

interface Turn {
  readonly p50: number;
  readonly p99: number;
}

export async function handOver(site: Site, { rounds, handOvers }: HandOverOptions): Promise<Results> {
  const programs = [HOLDFAST, GO_MUTEX, GO_ELECTION, ETCD3_ELECTION];
  await using crew = await Crew.muster(site, programs, { processes: 2 });
  const measured = new Map<Program, Turn[]>(crew.programs.map((program) => [program, []]));
  for (const program of crew.programs) await pass(crew.of(program), 'warm', 2);
  for (const { round, who } of turns(crew.programs, rounds)) {
    const times = await pass(crew.of(who), `passed-${round}`, handOvers);
    measured.get(who)?.push({ p50: quantile(times, 0.5), p99: quantile(times, 0.99) });
  }
  const ratio = (peer: Program): Spread =>
    spreadOf(
      (measured.get(HOLDFAST) ?? []).map((turn, round) => [turn, measured.get(peer)?.[round]] as const),
      ([own, other]) => own.p50 / (other?.p50 ?? Number.NaN),
    );
  const finding = (peer: Program, atMost: number): readonly Finding[] =>
    crew.has(peer)
      ? [{ what: `released to another process, p50: of ${peer.name}'s`, measured: ratio(peer), target: { atMost } }]
      : [];
  const sheet: Sheet = {
    title: 'From the release in one process to the grant in another',
    head: ['', 'p50, ms', 'p99, ms'],
    rows: [...measured].map(([program, all]) => [
      program.name,
      showSpread(spreadOf(all, ({ p50 }) => p50)),
      showSpread(spreadOf(all, ({ p99 }) => p99)),
    ]),
  };
  return {
    findings: [...finding(GO_MUTEX, 1.3), ...finding(GO_ELECTION, 1.3), ...finding(ETCD3_ELECTION, 0.25)],
    sheets: [sheet],
  };
}

/** To and fro between two processes. Resolves to the times in milliseconds, sorted. */
async function pass(peers: readonly PeerProcess[], name: string, handOvers: number): Promise<readonly number[]> {
  let [holder, waiter] = peers as [PeerProcess, PeerProcess];
  const times: number[] = [];
  await holder.ask('hold', name);
  for (let count = 0; count < handOvers; count += 1) {
    const next = waiter.ask('hold', name);
    await sleep(WAITED_MS.from + Math.random() * (WAITED_MS.to - WAITED_MS.from));
    const toldAt = performance.now();
    const released = holder.ask('release', name);
    await next;
    times.push(performance.now() - toldAt);
    await released;
    [holder, waiter] = [waiter, holder];
  }
  await holder.ask('release', name);
  return times.toSorted((a, b) => a - b);
}

export async function failover(site: Site, { rounds, ttlMs }: FailoverOptions): Promise<Results> {
  const programs = await site.present([HOLDFAST, GO_MUTEX, ETCD3_LOCK]);
  const taken: ReadonlyMap<Program, number>[] = [];
  for (let round = 0; round < rounds; round += 1) {
    /* At once: all that anybody does is wait for a lease to end. */
    const times = programs.map(
      async (program) => [program, await failOver(site, program, ttlMs, `killed-${round}`)] as const,
    );
    taken.push(new Map(await Promise.all(times)));
  }
  const of = (program: Program): Spread => spreadOf(taken, (round) => (round.get(program) ?? Number.NaN) / ttlMs);
  const ratio = (peer: Program): Spread =>
    spreadOf(taken, (round) => (round.get(HOLDFAST) ?? Number.NaN) / (round.get(peer) ?? Number.NaN));
  const bound = (ttlMs + 1_000) / ttlMs;
  return {
    findings: [
      ...programs.map((program): Finding => {
        const what = `the lock after kill −9 of its holder, TTL ${ttlMs / 1_000} s: ${program.name}`;
        const target = { atMost: bound, why: 'TTL + 1 s' };
        return { what, measured: of(program), unit: 'TTL', ...(program === HOLDFAST ? { target } : {}) };
      }),
      ...(programs.includes(GO_MUTEX)
        ? [
            {
              what: "the lock after kill −9: of Go Mutex's",
              measured: ratio(GO_MUTEX),
              target: { atMost: 1.1, why: 'parity' },
            },
          ]
        : []),
    ],
  };
}

/** Resolves to the milliseconds from the kill to the grant. */
async function failOver(site: Site, program: Program, ttlMs: number, name: string): Promise<number> {
  await using holder = await site.start(program, { ttlMs });
  await using waiter = await site.start(program, { ttlMs });
  await holder.ask('hold', name);
  const next = waiter.ask('hold', name);
  /* Anywhere between two renewals, which are a third of a TTL apart, and late enough for the waiter to be in the queue. */
  await sleep(1_000 + (Math.random() * ttlMs) / 3);
  const killedAt = performance.now();
  await holder.kill();
  await next;
  return performance.now() - killedAt;
}
