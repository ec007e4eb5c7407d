import test from 'ava';
import {
  CoordinationUnavailableError,
  LockLostError,
  OutcomeUnknownError,
  unpackToken,
  type HealthState,
} from '../../lib/index.ts';
import { sleep, systemClock } from '../../lib/runtime/clock.ts';
import { FaultProxy } from '../../lib/testing/index.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { brisk, Clients, storedKeys, testedVersions } from './support/clients.ts';
import { EventLog } from './support/event-log.ts';
import { until } from './support/until.ts';

/** Long enough to outlast the beginning of so many tests at a time. */
const shortLived = { session: { ttlMs: 5_000 } };

/** A failed renewal that is told late is told together with what came of it, so that nobody sees `suspended` in between. */
const mayFollow: Partial<Record<HealthState, readonly HealthState[]>> = {
  connected: ['suspended', 'degraded'],
  suspended: ['connected', 'degraded'],
  degraded: ['connected'],
};

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
      const states: HealthState[] = [];
      void (async () => {
        for await (const { state } of far.watchHealth()) states.push(state);
      })();
      const held = await far.lock('a').acquire({ waitForRecovery: true });
      let heldAtGrant: boolean | undefined;
      const waiting = near
        .lock('a')
        .acquire()
        .then((next) => {
          heldAtGrant = held.isHeld();
          return next;
        });
      /* Where this test fails before. */
      waiting.catch(() => {});
      await until('two keys in the queue', async () => (await storedKeys(server, clients.prefix('a'))).length === 2);

      t.true(held.isHeld());
      const before = states.length;
      act(proxy);
      const next = await waiting;
      t.false(heldAtGrant);
      /* isHeld() reads the clock. The signal needs a timer, which is long due and comes before one of the same clock that is set now. */
      await sleep(systemClock, 0);
      t.true(held.signal.aborted);
      t.true(held.signal.reason instanceof LockLostError);
      t.true(next.token > held.token);
      t.is(far.health.state, 'degraded');
      await t.throwsAsync(far.lock('a').acquire(), { instanceOf: CoordinationUnavailableError });

      const patient = far.lock('a').acquire({ waitForRecovery: true });
      proxy.heal();
      await until('contact again', () => states.at(-1) === 'connected');
      const [first, ...changes] = states;
      t.is(first, 'connected');
      t.true(states.slice(before).includes('degraded'));
      /* A renewal before the fault may have failed as well. */
      for (const [index, state] of changes.entries()) t.true(mayFollow[states[index]!]?.includes(state), states.join());
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
    const far = await clients.connect(proxy.endpoint);
    using log = await EventLog.start(server, 'test/lock/');
    proxy.dropResponses();
    const changed = new AbortController();
    const reason = new Error('the caller has changed its mind');
    const gaveUp = t.throwsAsync(far.lock('a').acquire({ signal: changed.signal }), { is: reason });
    /* What has happened, not what there is: from here on it may be gone at any moment. */
    await until('its key', () =>
      log.events.some(({ type, key }) => type === 'PUT' && key.startsWith(clients.prefix('a'))),
    );
    changed.abort(reason);
    await gaveUp;
    proxy.cut();
    proxy.heal();
    await until('no key', async () => (await storedKeys(server, clients.prefix('a'))).length === 0);
    const held = await near.lock('a').tryAcquire();
    t.true(held?.isHeld());
    await held?.release();
  });

  test(`etcd ${version}: a release that was not answered is repeated, and takes nobody else's key`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using proxy = await FaultProxy.start(server.endpoint);
    await using clients = new Clients();
    const near = await clients.connect(server.endpoint);
    const far = await clients.connect(proxy.endpoint, brisk);
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
    await t.throwsAsync(coordinator.lock('b').acquire({ timeoutMs: 500 }), {
      instanceOf: CoordinationUnavailableError,
    });
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
