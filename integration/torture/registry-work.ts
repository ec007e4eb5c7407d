import { setTimeout as sleep } from 'node:timers/promises';
import type { Member, Membership, Registration, Registry } from '../../lib/index.ts';
import { machineMs } from '../election/machine-clock.ts';
import { FRESHNESS_MS } from './cache-work.ts';
import { upTo, type Client } from './exclusive-work.ts';
import type { Shown } from './history.ts';

export const REGISTRY = 'services';

const SHOW_EVERY_MS = 100;
const REGISTER_MS = 3_000;
/** What it says of itself anew before it goes, so often at most, and for how long each stands. */
const UPDATES = 4;
const STAY_MS = 800;

/** Registers addresses that nobody else has, one after the other, says something new of them, takes them back; and looks who is there. */
export async function registryWork(client: Client): Promise<void> {
  const services = client.coordinator.registry(REGISTRY, { freshnessMs: FRESHNESS_MS });
  const own: Own = { registration: undefined };
  await Promise.all([follow(services, own, client), look(services, own, client), register(services, own, client)]);
}

/** Of the members, what they say of themselves in one line each. */
export function membersShown(members: readonly Member[]): string {
  return members.map(({ address, metadata }) => `${address} ${metadata['step']}`).join('\n');
}

/** What this process has registered. */
interface Own {
  registration: Registration | undefined;
}

async function register(services: Registry, own: Own, { coordinator, recorder, deadlineMs }: Client): Promise<never> {
  for (let count = 1; ; count += 1) {
    const key = `${coordinator.instanceId}/${count}`;
    const registration = services.register({ address: key, metadata: { step: '0' } });
    own.registration = registration;
    await recorder.call({ workload: 'registry', what: 'register', limitMs: REGISTER_MS, key }, () =>
      registration.registered({ timeoutMs: REGISTER_MS }),
    );
    const updates = upTo(UPDATES);
    for (let step = 1; step <= updates; step += 1) {
      await sleep(upTo(STAY_MS));
      registration.update({ step: String(step) });
    }
    await sleep(upTo(STAY_MS));
    await recorder.call({ workload: 'registry', what: 'leave', limitMs: deadlineMs, key }, () => registration.leave());
  }
}

async function follow(services: Registry, own: Own, { recorder }: Client): Promise<void> {
  for await (const membership of services.watch()) recorder.write(shown('watch', membership, own, machineMs()));
}

async function look(services: Registry, own: Own, { recorder }: Client): Promise<never> {
  for (;;) {
    const at = machineMs();
    const membership = known(services);
    if (membership !== undefined) recorder.write(shown('members', membership, own, at));
    await sleep(upTo(SHOW_EVERY_MS * 2));
  }
}

function shown(how: Shown['how'], membership: Membership, { registration }: Own, at: number): Shown {
  const { members, revision } = membership;
  /* It was never proved: there is no infinity in JSON. */
  const ageMs = Math.min(membership.ageMs, Number.MAX_VALUE);
  const isRegistered = registration?.status.state === 'registered';
  return {
    kind: 'shown',
    workload: 'registry',
    how,
    members: membersShown(members),
    revision,
    ageMs,
    isRegistered,
    at,
  };
}

/** At the start of a process nothing is. */
function known(services: Registry): Membership | undefined {
  try {
    return services.members();
  } catch {
    return undefined;
  }
}
