/**
 * A process that owns its share of partitions for ever. Its argument: {@link OwnerOptions} as JSON. It reports what it believes to own, with
 * the machine's monotonic clock.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCoordinator, type HeldPartition } from '../../lib/index.ts';
import { machineMs } from '../election/machine-clock.ts';
import { sampleSteadily } from '../election/stalls.ts';
import { idOf, type OwnerOptions, type Report } from './owner-process.ts';

const { coordinator: options, name, count } = JSON.parse(process.argv[2] ?? '{}') as OwnerOptions;
const coordinator = createCoordinator(options);

const SAMPLE_MS = 20;

/** Work does not end the moment it is told to. */
const WIND_DOWN_MS = 30;

/** All that there ever were: what was lost must never be held again. */
const holdings: HeldPartition[] = [];

sampleSteadily(sample, (stall) => report({ kind: 'stall', ...stall }), SAMPLE_MS);

/* Whoever started it is gone. */
process.on('disconnect', () => process.exit());

await coordinator.partitions(name, { count }).own(async (partition, held) => {
  holdings.push(held);
  report({ kind: 'begun', partition, token: held.token, at: machineMs() });
  if (!held.signal.aborted) await once(held.signal, 'abort');
  report({ kind: 'told', id: idOf(held), at: machineMs(), why: String(held.signal.reason) });
  await sleep(WIND_DOWN_MS);
  report({ kind: 'ended', id: idOf(held), at: machineMs() });
});

function sample(): void {
  const at = machineMs();
  const ids = holdings.filter((held) => held.isHeld()).map(idOf);
  if (ids.length > 0) report({ kind: 'held', ids, at });
}

function report(what: Report): void {
  process.send?.(what);
}
