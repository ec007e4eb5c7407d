import { createCoordinator } from '../../coordinator.ts';
import { abortable } from '../../runtime/abort.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { startEmbeddedEtcd } from '../../testing/embedded/embedded-etcd.ts';
import { FaultProxy } from '../../testing/fault-proxy.ts';
import { UsageError, type Call, type Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import type { Output } from '../output.ts';
import { configIsChanged } from './change.ts';
import { Counter } from './counter.ts';
import { Crew } from './crew.ts';
import type { Finding } from './finding.ts';
import { findingsOf } from './findings.ts';
import { Journal, UnseenError } from './journal.ts';
import { leaderIsKilled } from './killed-leader.ts';
import { watchLeases } from './leases.ts';
import { etcdIsAway } from './outage.ts';
import { each, type Stage } from './stage.ts';
import { contention, holderStandsStill } from './stopped-holder.ts';
import { showFindings, showObservation } from './timeline.ts';
import { CONFIG, NAMESPACE } from './worker.ts';

const WORKERS = ['ann', 'ben'];
const TTL_MS = 3_000;

/** How long each step of it is waited for, in milliseconds. It takes a few seconds at most, and longer on a machine with much else to do. */
const PATIENCE_MS = 20_000;

export const demo: Command = {
  name: 'demo',
  summary: 'Shows what is promised, here and now, while processes stop and die and etcd goes away',
  usage: '[--no-fencing]',
  details: [
    'Needs no etcd: it brings one in memory, a guarded counter, and two workers, which are processes of their own.',
    'All of it is on loopback, and nothing is left when it ends. What held is found out from what was seen; it ends with 1 if anything did not.',
  ].join('\n'),
  options: { 'no-fencing': { type: 'flag', help: 'leave the guard out, and see a late write do harm' } },
  examples: ['holdfast demo', 'holdfast demo --no-fencing', 'holdfast demo --json | jq \'select(.type == "finding")\''],
  takes: { least: 0, most: 0 },
  run: async ({ options, output, clock, signal }) => {
    if (process.platform === 'win32') {
      throw new UsageError('Expected a system with SIGSTOP to run holdfast demo on, got Windows. Try it in WSL.');
    }
    const fencing = !options.flag('no-fencing');
    if (!output.isJson) introduce(output, fencing);
    const findings = await perform({ output, clock, signal }, fencing);
    showFindings(output, findings);
    if (!output.isJson) conclude(output, findings, fencing);
    return findings.every(({ held }) => held) ? EXIT.ok : EXIT.no;
  },
};

/** All of it is ended in its order, whatever comes. */
async function perform(
  { output, clock, signal }: Pick<Call, 'output' | 'clock' | 'signal'>,
  fencing: boolean,
): Promise<readonly Finding[]> {
  let calls = 0;
  const logger = { ...silentLogger, debug: () => (calls += 1) };
  await using etcd = await startEmbeddedEtcd({ logger, keepsProcessAlive: true });
  await using network = await FaultProxy.start(etcd.endpoint);
  await using operator = createCoordinator({ endpoints: etcd.endpoint, namespace: NAMESPACE, instanceId: 'operator' });
  const failure = new AbortController();
  const stop = AbortSignal.any([signal, failure.signal]);
  const onAdded = showObservation.bind(undefined, output);
  const journal = new Journal(clock, { signal: stop, patienceMs: PATIENCE_MS, onAdded });
  await using counter = await Counter.start(journal, { fencing });
  await using crew = new Crew(journal, (error) => failure.abort(error));
  const over = new AbortController();
  const limits = operator.config(CONFIG);
  const leases = watchLeases(clock, etcd, journal, over.signal).catch(() => {});
  const stage: Stage = { clock, journal, crew, network, operator, limits, calls: () => calls, signal: stop };
  try {
    await limits.set({ perMinute: 60 }, { signal: stop });
    for (const name of WORKERS) {
      crew.hire({ name, endpoint: network.endpoint, resource: counter.url, ttlMs: TTL_MS });
    }
    await each(WORKERS, (name) => journal.first('serves', 0, ({ worker }) => worker === name));
    await each(WORKERS, (name) => journal.first('session', 0, ({ worker }) => worker === name));
    for (const act of [contention, holderStandsStill, etcdIsAway, configIsChanged, leaderIsKilled]) await act(stage);
    over.abort();
    await abortable(crew.close(), stop);
  } catch (error) {
    /* It is in the journal, and what did not come about is found missing. */
    if (!(error instanceof UnseenError)) throw error;
  } finally {
    over.abort();
    await leases;
  }
  return findingsOf(journal.observations);
}

function introduce(output: Output, fencing: boolean): void {
  output.line(`Two workers, a guarded counter, and an etcd in memory. Leases last ${TTL_MS / 1_000} s.`);
  if (!fencing) output.line(output.styled('red', 'NO FENCING: nobody compares tokens. Watch act 2.'));
}

function conclude(output: Output, findings: readonly Finding[], fencing: boolean): void {
  const failed = findings.filter(({ held }) => !held).length;
  output.line(failed === 0 ? `All ${findings.length} held.` : `${failed} of ${findings.length} did not hold.`);
  output.line(fencing ? 'Without the guard: holdfast demo --no-fencing' : 'With the guard: holdfast demo');
}
