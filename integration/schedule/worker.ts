/** A process that has the job of the test, for ever. Its argument: the options of its coordinator as JSON. It reports every start. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createCoordinator, type CoordinatorOptions } from '../../lib/index.ts';

const options = JSON.parse(process.argv[2] ?? '{}') as CoordinatorOptions;
const coordinator = createCoordinator(options);

/* Whoever started it is gone. */
process.on('disconnect', () => process.exit());

coordinator.schedule(
  'beat',
  '* * * * * *',
  async ({ scheduledFor, attempt, token, signal }) => {
    process.send?.({ by: coordinator.instanceId, scheduledFor: scheduledFor.getTime(), attempt, token });
    await sleep(100, undefined, { signal }).catch(() => {});
  },
  { missed: 'all', onLeaderLoss: 'retry', maxAttempts: 5, historyLimit: 1_000 },
);
