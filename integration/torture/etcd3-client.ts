/**
 * As client.ts, with the npm package etcd3 in the place of this one, as its users use it: who has acquired holds until it releases, and who
 * was elected leads until the campaign says otherwise. Its argument: {@link ClientOptions} as JSON.
 */
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Etcd3, type Campaign } from 'etcd3';
import { machineMs } from '../election/machine-clock.ts';
import type { ClientOptions } from './client-process.ts';
import { upTo } from './exclusive-work.ts';
import { Recorder } from './recorder.ts';
import { ask } from './register.ts';

const RETRY_MS = 50;
const WORK_MS = 40;
/** One work in so many outlasts a lease of 3 s. */
const LONG_WORKS = 3;
const LONG_WORK_MS = 5_000;
const SHORTEST_TERM_MS = 3_000;
const LONGEST_TERM_MS = 9_000;

const { coordinator, registerUrl, historyFile } = JSON.parse(process.argv[2] ?? '{}') as ClientOptions;
appendFileSync(historyFile, '');
const ttlSeconds = (coordinator.session?.ttlMs ?? 0) / 1_000;
const name = coordinator.instanceId ?? '';
const etcd = new Etcd3({ hosts: [coordinator.endpoints ?? []].flat() });
const recorder = new Recorder(historyFile);

process.on('disconnect', () => process.exit());

await Promise.all([lockWork(), electionWork()]);

async function lockWork(): Promise<never> {
  for (;;) {
    const since = machineMs();
    const lock = etcd.lock('canary/lock').ttl(ttlSeconds);
    if (!(await succeeds(lock.acquire()))) {
      await sleep(RETRY_MS);
      continue;
    }
    const work = hold('lock', since);
    await raise(work.token);
    work.end();
    await succeeds(lock.release());
    await sleep(upTo(RETRY_MS));
  }
}

async function raise(lockToken: bigint): Promise<void> {
  const token = lockToken.toString();
  const value = (await ask(registerUrl, { kind: 'read', counter: 'bare', token })) ?? 0;
  await sleep(upTo(upTo(LONG_WORKS) < 1 ? LONG_WORK_MS : WORK_MS));
  const write = `${name}/${machineMs()}`;
  await ask(registerUrl, { kind: 'write', counter: 'bare', token, value: value + 1, write });
}

async function electionWork(): Promise<never> {
  const election = etcd.election('canary', ttlSeconds);
  for (;;) {
    const since = machineMs();
    const campaign = election.campaign(name);
    const over = new AbortController();
    campaign.on('error', () => over.abort());
    if (await isElected(campaign, over.signal)) {
      const work = hold('election', since);
      const termMs = SHORTEST_TERM_MS + upTo(LONGEST_TERM_MS - SHORTEST_TERM_MS);
      await succeeds(sleep(termMs, undefined, { signal: over.signal }));
      work.end();
    }
    await succeeds(campaign.resign());
    await sleep(RETRY_MS);
  }
}

function isElected(campaign: Campaign, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    campaign.on('elected', () => resolve(true));
    signal.addEventListener('abort', () => resolve(false));
  });
}

/** etcd3 has no fencing tokens: a name for this time of holding that no other has. */
function hold(workload: 'lock' | 'election', since: number): { readonly token: bigint; end(): void } {
  let isHeld = true;
  const tenure = { token: process.hrtime.bigint(), isHeld: () => isHeld };
  recorder.granted(workload, tenure, since);
  return {
    token: tenure.token,
    end: () => {
      recorder.sample(workload, tenure);
      isHeld = false;
    },
  };
}

async function succeeds(work: Promise<unknown>): Promise<boolean> {
  return await work.then(
    () => true,
    () => false,
  );
}
