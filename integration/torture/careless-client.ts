/**
 * As client.ts, with a registry in which who leaves does not wait until it has left. Its argument: {@link ClientOptions} as JSON.
 */
import { appendFileSync } from 'node:fs';
import { createCoordinator, type Registration, type Registry } from '../../lib/index.ts';
import { cacheWork } from './cache-work.ts';
import type { ClientOptions } from './client-process.ts';
import { Recorder } from './recorder.ts';
import { registryWork } from './registry-work.ts';

const options = JSON.parse(process.argv[2] ?? '{}') as ClientOptions;
appendFileSync(options.historyFile, '');
const coordinator = createCoordinator(options.coordinator);
const client = { coordinator, recorder: new Recorder(options.historyFile), deadlineMs: options.requestDeadlineMs };

process.on('disconnect', () => process.exit());

const registry = coordinator.registry.bind(coordinator);
coordinator.registry = (...of) => careless(registry(...of));

/* The writes to the cache show what came later. */
await Promise.all([registryWork(client), cacheWork(client)]);

function careless(services: Registry): Registry {
  const register = services.register.bind(services);
  services.register = (...as) => hasty(register(...as));
  return services;
}

function hasty(registration: Registration): Registration {
  const leave = registration.leave.bind(registration);
  registration.leave = async () => void leave().catch(() => {});
  return registration;
}
