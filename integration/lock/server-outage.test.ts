import test from 'ava';
import { CoordinationUnavailableError, LockLostError } from '../../lib/index.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { Clients, electionMs, shortLived, storedKeys, testedVersions, ttlMs } from './support/clients.ts';
import { until } from './support/until.ts';

/** L6: a waiter is served within this after the end of a fault. Twice that is allowed, for the sake of busy machines. */
const servedWithinMs = 2 * (ttlMs + 2 * electionMs + 2_000);

for (const version of testedVersions) {
  for (const [outage, stop, start] of [
    [
      'is paused and goes on',
      async (server: EtcdServer) => server.pause(),
      async (server: EtcdServer) => server.resume(),
    ],
    [
      'is killed and restarted on its data',
      (server: EtcdServer) => server.stop({ signal: 'SIGKILL' }),
      (server: EtcdServer) => server.restart(),
    ],
  ] as const) {
    test(`etcd ${version}: when the server ${outage}, what was held is lost first, and who waits is served after`, async (t) => {
      await using server = await EtcdServer.start({ version });
      await using clients = new Clients();
      const [one, two] = await Promise.all([
        clients.connect(server.endpoint, shortLived),
        clients.connect(server.endpoint, shortLived),
      ]);
      const held = await one.lock('a').acquire({ waitForRecovery: true });
      const patient = two.lock('a').acquire({ waitForRecovery: true });
      const impatient = t.throwsAsync(two.lock('a').acquire(), { instanceOf: CoordinationUnavailableError });
      let heldAtGrant: boolean | undefined;
      const granted = patient.then((next) => {
        heldAtGrant = held.isHeld();
        return next;
      });
      await until('two keys in the queue', async () => (await storedKeys(server, clients.prefix('a'))).length === 2);

      await stop(server);
      await until('both degraded', () => one.health.state === 'degraded' && two.health.state === 'degraded');
      t.false(held.isHeld());
      /* isHeld() reads the clock; the signal needs a timer to come round. */
      await until('the signal of the loss', () => held.signal.aborted);
      t.true(held.signal.reason instanceof LockLostError);
      await impatient;
      t.is(heldAtGrant, undefined);

      await start(server);
      const healedAt = performance.now();
      const next = await granted;
      const tookMs = performance.now() - healedAt;
      t.true(tookMs < servedWithinMs, `served after ${tookMs} ms`);
      t.false(heldAtGrant);
      t.true(next.token > held.token);
      await until('contact', () => one.health.state === 'connected' && two.health.state === 'connected');
      await next.release();
      await until('an empty queue', async () => (await storedKeys(server, clients.prefix('a'))).length === 0);
    });
  }

  test(`etcd ${version}: a lock outlives a server that is back before the lease ends`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const [one, two] = await Promise.all([clients.connect(server.endpoint), clients.connect(server.endpoint)]);
    const held = await one.lock('a').acquire();
    await server.restart({ signal: 'SIGKILL' });
    await until(
      'contact',
      async () =>
        (await one
          .lock('a')
          .inspect()
          .catch(() => undefined)) !== undefined,
    );
    t.true(held.isHeld());
    const waiting = two.lock('a').acquire({ waitForRecovery: true });
    await until('two keys in the queue', async () => (await storedKeys(server, clients.prefix('a'))).length === 2);
    await held.release();
    const next = await waiting;
    t.true(next.token > held.token);
    await next.release();
  });
}
