import test from 'ava';
import { CoordinationUnavailableError, LockLostError, OutcomeUnknownError, unpackToken } from '../../lib/index.ts';
import { FaultProxy } from '../../lib/testing/index.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { Clients, electionMs, shortLived, storedKeys, testedVersions, ttlMs } from './support/clients.ts';
import { until } from './support/until.ts';

for (const version of testedVersions) {
  for (const [fault, act] of [
    ['a blackhole', (proxy: FaultProxy) => proxy.blackhole()],
    ['a connection whose answers are lost', (proxy: FaultProxy) => proxy.dropResponses()],
    ['a connection that is cut', (proxy: FaultProxy) => proxy.cut()],
  ] as const) {
    test(`etcd ${version}: behind ${fault} a held lock is lost before the server gives it away, and can be had again`, async (t) => {
      await using server = await EtcdServer.start({ version });
      await using proxy = await FaultProxy.start(server.endpoint);
      await using clients = new Clients();
      const near = await clients.connect(server.endpoint);
      const far = await clients.connect(proxy.endpoint, shortLived);
      const states: string[] = [];
      void (async () => {
        for await (const { state } of far.watchHealth()) states.push(state);
      })();
      const held = await far.lock('a').acquire();
      let lostFirst = false;
      const waiting = near
        .lock('a')
        .acquire()
        .then((next) => {
          lostFirst = held.signal.aborted && !held.isHeld();
          return next;
        });
      await until('two keys in the queue', async () => (await storedKeys(server, clients.prefix('a'))).length === 2);

      act(proxy);
      const next = await waiting;
      t.true(lostFirst);
      t.true(held.signal.reason instanceof LockLostError);
      t.true(next.token > held.token);
      t.is(far.health.state, 'degraded');
      await t.throwsAsync(far.lock('a').acquire(), { instanceOf: CoordinationUnavailableError });

      const patient = far.lock('a').acquire({ waitForRecovery: true });
      proxy.heal();
      await until('contact again', () => far.health.state === 'connected');
      t.deepEqual(states, ['connected', 'suspended', 'degraded', 'connected']);
      t.false(held.isHeld());
      await held.release();
      t.true(next.isHeld());
      await next.release();
      const again = await patient;
      t.true(again.token > next.token);
      await again.release();
    });
  }

  test(`etcd ${version}: an acquire whose answer was lost takes its own key for its own`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using proxy = await FaultProxy.start(server.endpoint);
    await using clients = new Clients();
    const coordinator = await clients.connect(proxy.endpoint);
    proxy.dropResponses();
    const acquiring = coordinator.lock('a').acquire();
    const key = await until('the key of an acquire that was not answered', async () => {
      const [first] = await storedKeys(server, clients.prefix('a'));
      return first;
    });
    /* What was held back dies with the connection. */
    proxy.cut();
    proxy.heal();
    const held = await acquiring;
    t.is(unpackToken(held.token).revision, key!.createRevision);
    t.is((await storedKeys(server, clients.prefix('a'))).length, 1);
    await held.release();
    t.deepEqual(await storedKeys(server, clients.prefix('a')), []);
  });

  test(`etcd ${version}: an acquire that gave up unanswered leaves no key, though it was applied`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using proxy = await FaultProxy.start(server.endpoint);
    await using clients = new Clients();
    const near = await clients.connect(server.endpoint);
    const far = await clients.connect(proxy.endpoint, shortLived);
    proxy.dropResponses();
    await t.throwsAsync(far.lock('a').acquire({ timeoutMs: 400 }), { instanceOf: CoordinationUnavailableError });
    /* It was sent, so it is applied, if not at once. */
    await until('its key', async () => (await storedKeys(server, clients.prefix('a'))).length === 1);
    proxy.cut();
    proxy.heal();
    const withinMs = 2 * (ttlMs + electionMs + 1_000);
    await until('no key', async () => (await storedKeys(server, clients.prefix('a'))).length === 0, { withinMs });
    const held = await near.lock('a').tryAcquire();
    t.true(held?.isHeld());
    await held?.release();
  });

  test(`etcd ${version}: a release that was not answered is repeated, and takes nobody else's key`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using proxy = await FaultProxy.start(server.endpoint);
    await using clients = new Clients();
    const near = await clients.connect(server.endpoint);
    const far = await clients.connect(proxy.endpoint);
    const first = await far.lock('a').acquire();
    const waiting = near.lock('a').acquire();
    proxy.dropResponses();
    await t.throwsAsync(first.release(), { instanceOf: OutcomeUnknownError });
    t.false(first.isHeld());
    const second = await waiting;
    t.true(second.token > first.token);
    proxy.cut();
    proxy.heal();
    /* The repeats are over when the coordinator has drained. */
    await far.close();
    t.true(second.isHeld());
    t.deepEqual(
      (await storedKeys(server, clients.prefix('a'))).map(({ createRevision }) => createRevision),
      [unpackToken(second.token).revision],
    );
    await second.release();
  });

  test(`etcd ${version}: a short cut costs nobody a lock`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using proxy = await FaultProxy.start(server.endpoint);
    await using clients = new Clients();
    const coordinator = await clients.connect(proxy.endpoint);
    const held = await coordinator.lock('a').acquire();
    proxy.cut();
    /* Notices the cut by a call of its own, long before the next renewal. */
    await t.throwsAsync(coordinator.lock('b').inspect(), { instanceOf: CoordinationUnavailableError });
    proxy.heal();
    const report = await until('an answer', () =>
      coordinator
        .lock('a')
        .inspect()
        .catch(() => undefined),
    );
    t.is(report?.holder?.token, held.token);
    t.true(held.isHeld());
    await until('contact', () => coordinator.health.state === 'connected');
    t.true(held.isHeld());
    await held.release();
  });
}
