/**
 * Three instances of a service and somebody who calls them by name. One of them loses its database and is withdrawn, one dies without a word,
 * one leaves in an orderly way; no call fails.
 *
 *     HOLDFAST_ENDPOINTS=http://127.0.0.1:2379 node dist/examples/discovery.js
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCoordinator, type Coordinator, type Registration } from 'holdfast';

interface Instance {
  readonly coordinator: Coordinator;
  readonly server: Server;
  readonly registration: Registration;
  hasDatabase: boolean;
}

async function start(instanceId: string): Promise<Instance> {
  const server = createServer((_, response) => {
    /* A connection that was kept and breaks does not tell whether the request had arrived. */
    response.setHeader('Connection', 'close').end(`charged by ${instanceId}`);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const coordinator = createCoordinator({ namespace: 'example', instanceId });
  const instance = { coordinator, server, hasDatabase: true };
  const registration = coordinator.registry('payments').register({
    address: `http://127.0.0.1:${port}`,
    metadata: { zone: 'a' },
    checkEveryMs: 100,
    check: () => instance.hasDatabase,
  });
  await registration.registered();
  return Object.assign(instance, { registration });
}

const [ann, ben, cleo] = (await Promise.all(['ann', 'ben', 'cleo'].map(start))) as [Instance, Instance, Instance];
const caller = createCoordinator({ namespace: 'example', instanceId: 'caller' });
const payments = caller.registry('payments');

/** By whom a charge was made. Sticky by customer; to another instance only where no connection was made. */
async function charge(customer: string): Promise<string> {
  return payments.call(async ({ address }) => (await fetch(`${address}/charge/${customer}`)).text(), { key: customer });
}

async function untilKnown(names: readonly string[]): Promise<void> {
  for await (const { members } of payments.watch()) {
    if (
      members
        .map(({ instanceId }) => instanceId)
        .toSorted()
        .join() === names.join()
    )
      return;
  }
}

try {
  await payments.ready();
  await untilKnown(['ann', 'ben', 'cleo']);
  const customers = Array.from({ length: 30 }, (_, index) => `customer-${index}`);
  const before = await Promise.all(customers.map(charge));
  assert.equal(new Set(before).size, 3);
  console.log('Each customer is served by one of three instances.');

  ann.hasDatabase = false;
  await untilKnown(['ben', 'cleo']);
  const during = await Promise.all(customers.map(charge));
  assert.ok(!during.includes('charged by ann'));
  for (const [index, by] of during.entries()) if (before[index] !== 'charged by ann') assert.equal(by, before[index]);
  console.log(
    `ann has no database: ${ann.registration.status.reason}. Its customers are with the others, theirs stay where they were.`,
  );

  /* Dead, and nobody knows yet: its lease has not ended. */
  ben.server.close();
  ben.server.closeAllConnections();
  const { members } = payments.members();
  assert.equal(members.length, 2);
  const after = await Promise.all(customers.map(charge));
  assert.ok(after.every((by) => by === 'charged by cleo'));
  console.log(
    'ben is out of reach, though still registered: calls went on to an alternate, since nothing had been sent.',
  );

  ann.hasDatabase = true;
  await untilKnown(['ann', 'ben', 'cleo']);
  await cleo.registration.leave();
  await untilKnown(['ann', 'ben']);
  cleo.server.close();
  await sleep(0);
  assert.equal(await charge('customer-1'), 'charged by ann');
  console.log('cleo left before it closed its socket: nobody noticed.');
} finally {
  await Promise.all([ann, ben, cleo].map(({ coordinator }) => coordinator.close()));
  await caller.close();
  for (const { server } of [ann, ben, cleo]) server.close();
}
