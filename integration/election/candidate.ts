/**
 * A candidate in a process of its own, which leads whenever it is elected, for ever. Its argument: {@link CandidateOptions} as JSON. It
 * reports what it believes of itself, with the machine's monotonic clock, and resigns when it is told to.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCoordinator, type Leadership } from '../../lib/index.ts';
import type { CandidateOptions, Report } from './candidate-process.ts';
import { machineMs } from './machine-clock.ts';
import { sampleSteadily } from './stalls.ts';

const { coordinator: options, election: name, value } = JSON.parse(process.argv[2] ?? '{}') as CandidateOptions;
const coordinator = createCoordinator(options);
const election = coordinator.election(name);

/** Work does not end the moment it is told to. */
const WIND_DOWN_MS = 50;

/** All that there ever were: what was lost must never be held again. */
const leaderships: Leadership[] = [];
let resignation = new AbortController();

sampleSteadily(
  () => leaderships.forEach(sample),
  (stall) => report({ kind: 'stall', ...stall }),
);

process.on('message', (message) => {
  if (message === 'resign') resignation.abort(new Error('told to resign'));
});
/* Whoever started it is gone. */
process.on('disconnect', () => process.exit());

for (;;) {
  const { signal } = resignation;
  try {
    await election.lead(work, { value, signal });
  } catch (error) {
    if (!signal.aborted) throw error;
    resignation = new AbortController();
  }
}

async function work(leadership: Leadership): Promise<void> {
  const { token, signal } = leadership;
  leaderships.push(leadership);
  report({ kind: 'elected', token, at: machineMs() });
  sample(leadership);
  if (!signal.aborted) await once(signal, 'abort');
  report({ kind: 'told', token, at: machineMs(), why: String(signal.reason) });
  await sleep(WIND_DOWN_MS);
  report({ kind: 'ended', token, at: machineMs() });
}

function sample(leadership: Leadership): void {
  const at = machineMs();
  if (leadership.isHeld()) report({ kind: 'held', token: leadership.token, at });
}

function report(what: Report): void {
  process.send?.(what);
}
