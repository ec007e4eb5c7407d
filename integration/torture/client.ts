/**
 * A client in a process of its own, which does all workloads at once, for ever. Its argument: {@link ClientOptions} as JSON. It writes
 * down what it does and sees, and tells its parent when a workload gets on.
 */
import { appendFileSync } from 'node:fs';
import { createCoordinator } from '../../lib/index.ts';
import { cacheWork } from './cache-work.ts';
import type { ClientOptions } from './client-process.ts';
import { configWork } from './config-work.ts';
import { electionWork, lockWork, scheduleWork, sharedWork } from './exclusive-work.ts';
import { SAMPLE_RESOURCES_MS } from './growth.ts';
import { onceWork } from './once-work.ts';
import { partitionWork } from './partition-work.ts';
import { Recorder } from './recorder.ts';
import { registryWork } from './registry-work.ts';

const options = JSON.parse(process.argv[2] ?? '{}') as ClientOptions;
/* There is one also if the process is killed at once. */
appendFileSync(options.historyFile, '');
const coordinator = createCoordinator(options.coordinator);
const recorder = new Recorder(options.historyFile);
const client = { coordinator, recorder, deadlineMs: options.requestDeadlineMs };

recorder.watchResources(SAMPLE_RESOURCES_MS);

/* Whoever started it is gone. */
process.on('disconnect', () => process.exit());

scheduleWork(client);
await Promise.all([
  /* Two, which wait behind one ticket. */
  lockWork(client, options.registerUrl),
  lockWork(client, options.registerUrl),
  sharedWork(client),
  electionWork(client),
  cacheWork(client),
  configWork(client),
  partitionWork(client),
  registryWork(client),
  /* Two, of which one can wait for the other. */
  onceWork(client, 1),
  onceWork(client, 2),
]);
