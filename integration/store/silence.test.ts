import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import type { Store } from '../../lib/store/store.ts';
import { FaultProxy } from '../../lib/testing/fault-proxy.ts';
import { until } from '../lock/support/until.ts';
import { accessTo } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { everyCall, newLease, putting, results, settled, verdictOf, Watching, type Verdict } from './probe.ts';

const timeoutMs = 400;
/** Servers that have just started share the processors with everything else that starts. */
const patient = { timeoutMs: 15_000 };

/** What a call is late by at most: the promise that every call settles by its deadline. */
const slackMs = 250;

/** Settles all calls, and sees that none of them was late. A busy machine is late itself, which a plain timer shows. */
async function settledInTime(
  t: ExecutionContext,
  calls: Record<string, Promise<Verdict>>,
): Promise<Record<string, string>> {
  const timer = verdictOf(sleep(timeoutMs));
  const verdicts = await settled(calls);
  const limitMs = (await timer).tookMs + slackMs;
  for (const [name, { tookMs }] of Object.entries(verdicts)) {
    t.true(tookMs <= limitMs, `${name} took ${tookMs} ms of ${limitMs}`);
  }
  return results(verdicts);
}

async function answersAll(t: ExecutionContext, store: Store): Promise<void> {
  const verdicts = await settled(everyCall(store, patient.timeoutMs));
  t.deepEqual([...new Set(Object.values(results(verdicts)))], ['ok']);
}

/** What every call says of a server that took it and says nothing. */
const silence = {
  range: 'timeout transient',
  transact: 'timeout unknown',
  'transact (only reading)': 'timeout transient',
  grant: 'timeout unknown',
  revoke: 'timeout unknown',
  renew: 'timeout transient',
  leaseKeys: 'timeout transient',
  status: 'timeout transient',
};

/** The same, if nothing can have been sent. */
const neverSent = Object.fromEntries(Object.keys(silence).map((name) => [name, 'timeout transient']));

test('while the server is stopped every call settles by its timeout, and works again after that', async (t) => {
  await using server = await EtcdServer.start();
  const store = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
  const fresh = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
  await answersAll(t, store);

  server.pause();
  t.deepEqual(await settledInTime(t, everyCall(store, timeoutMs)), silence);
  t.deepEqual(await settledInTime(t, everyCall(fresh, timeoutMs)), neverSent);

  server.resume();
  for (const client of [store, fresh]) {
    await answersAll(t, client);
    await client.close();
  }
});

test('in a blackhole every call settles by its timeout, and works again after the healing', async (t) => {
  await using server = await EtcdServer.start();
  await using proxy = await FaultProxy.start(server.endpoint);
  const store = createEtcdStore(systemRuntime(), { endpoints: [proxy.endpoint], ...accessTo() });
  const fresh = createEtcdStore(systemRuntime(), { endpoints: [proxy.endpoint], ...accessTo() });
  await answersAll(t, store);

  proxy.blackhole();
  t.deepEqual(await settledInTime(t, everyCall(store, timeoutMs)), silence);
  t.deepEqual(await settledInTime(t, everyCall(fresh, timeoutMs)), neverSent);

  proxy.heal();
  for (const client of [store, fresh]) {
    await answersAll(t, client);
    await client.close();
  }
});

test('a write whose response is lost is reported as unknown, and has been applied once', async (t) => {
  await using server = await EtcdServer.start();
  await using proxy = await FaultProxy.start(server.endpoint);
  const store = createEtcdStore(systemRuntime(), { endpoints: [proxy.endpoint], ...accessTo() });
  const direct = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
  await store.range({ key: 'test/nothing' }, patient);

  proxy.dropResponses();
  const writing = verdictOf(store.transact(putting('test/lost'), patient));
  await until('the write', async () => (await direct.range({ key: 'test/lost' }, patient)).count === 1);
  proxy.cut();
  t.is((await writing).result, 'unreachable unknown');
  const { entries } = await direct.range({ key: 'test/lost' }, patient);
  t.deepEqual(
    entries.map(({ version }) => version),
    [1n],
  );
  await Promise.all([store.close(), direct.close()]);
});

test('a write that was given up can still be applied later', async (t) => {
  await using server = await EtcdServer.start();
  await using proxy = await FaultProxy.start(server.endpoint);
  const store = createEtcdStore(systemRuntime(), { endpoints: [proxy.endpoint], ...accessTo() });
  const direct = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
  const { revision } = await store.range({ key: 'test/nothing' }, patient);
  const watching = new Watching(direct, { span: { key: 'test/late' }, fromRevision: revision + 1n });

  proxy.dropRequests();
  t.is((await verdictOf(store.transact(putting('test/late'), { timeoutMs }))).result, 'timeout unknown');
  t.is((await direct.range({ key: 'test/late' }, patient)).count, 0);
  /* The cancellation travels behind the request, and may overtake its execution: either outcome is right, and none is promised. */
  proxy.heal();
  t.is((await verdictOf(store.transact(putting('test/late', 'next'), patient))).result, 'ok');
  await watching.until(({ keys }) => keys.length > 0);
  await watching.stop();
  await Promise.all([store.close(), direct.close()]);
});

test('a cut ends what is under way at once; what comes later has not been sent', async (t) => {
  await using server = await EtcdServer.start();
  await using proxy = await FaultProxy.start(server.endpoint);
  const store = createEtcdStore(systemRuntime(), { endpoints: [proxy.endpoint], ...accessTo() });
  await store.range({ key: 'test/nothing' }, patient);

  proxy.dropResponses();
  const writing = verdictOf(store.transact(putting('test/cut'), patient));
  const reading = verdictOf(store.range({ key: 'test/cut' }, { timeoutMs }));
  proxy.cut();
  t.is((await writing).result, 'unreachable unknown');
  t.is((await reading).error?.outcome, 'transient');
  t.is((await verdictOf(store.transact(putting('test/cut'), patient))).result, 'unreachable transient');

  proxy.heal();
  const healed = async (): Promise<Verdict> => {
    const verdict = await verdictOf(store.transact(putting('test/cut'), patient));
    return verdict.result === 'ok' ? verdict : healed();
  };
  t.true((await healed()).error === undefined);
  await store.close();
});

test('a stream that meets silence when it dials again after a failure dials anew', async (t) => {
  await using server = await EtcdServer.start();
  const { hostname, port } = new URL(server.endpoint);
  let behaviour: 'resets' | 'is silent' | 'lets through' = 'resets';
  let kept = 0;
  const way = createServer((socket) => {
    socket.on('error', () => {});
    if (behaviour === 'resets') socket.resetAndDestroy();
    else if (behaviour === 'is silent') kept += 1;
    else socket.pipe(connect(Number(port), hostname).on('error', () => {})).pipe(socket);
  });
  way.listen(0, '127.0.0.1');
  await once(way, 'listening');
  const behind = server.endpoint.replace(port, String((way.address() as AddressInfo).port));
  const direct = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
  const store = createEtcdStore(systemRuntime(), { endpoints: [behind], ...accessTo() });
  const lease = newLease();
  await direct.grant(lease, 60_000, patient);

  t.is((await verdictOf(store.renew(lease, patient))).result, 'unreachable transient');
  behaviour = 'is silent';
  await until('a dial that meets silence', () => kept > 0);
  /* That connection stays as it is: nothing ever comes of it. */
  behaviour = 'lets through';
  await until('a renewal', async () => (await verdictOf(store.renew(lease, { timeoutMs: 1_000 }))).result === 'ok');
  await Promise.all([store.close(), direct.close()]);
  way.close();
});

test('an unreachable server is named with its cause', async (t) => {
  const store = createEtcdStore(systemRuntime(), { endpoints: ['http://127.0.0.1:1'] });
  const { error, result } = await verdictOf(store.range({ key: 'test/a' }, patient));
  t.is(result, 'unreachable transient');
  t.regex(error?.message ?? '', /http:\/\/127\.0\.0\.1:1.*ECONNREFUSED/);
  await store.close();

  const nameless = createEtcdStore(systemRuntime(), { endpoints: ['http://no-such-host.invalid:2379'] });
  const unresolved = await verdictOf(nameless.range({ key: 'test/a' }, patient));
  t.is(unresolved.result, 'unreachable transient');
  t.regex(unresolved.error?.message ?? '', /no-such-host\.invalid/);
  await nameless.close();
});

test('cancelling settles a call at once, with the reason of the signal as its cause', async (t) => {
  await using server = await EtcdServer.start();
  const store = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
  await store.range({ key: 'test/nothing' }, patient);
  server.pause();
  const reason = new Error('changed my mind');
  const stop = new AbortController();
  const options = { timeoutMs: 30_000, signal: stop.signal };
  const writing = verdictOf(store.transact(putting('test/cancelled'), options));
  const reading = verdictOf(store.range({ key: 'test/cancelled' }, options));
  const renewing = verdictOf(store.renew(newLease(), options));
  await verdictOf(store.range({ key: 'test/nothing' }, { timeoutMs: 100 }));
  stop.abort(reason);
  const verdicts = await Promise.all([writing, reading, renewing]);
  t.deepEqual(
    verdicts.map(({ result }) => result),
    ['cancelled unknown', 'cancelled transient', 'cancelled transient'],
  );
  t.true(verdicts.every(({ error }) => error?.cause === reason));
  server.resume();
  await store.close();
});

test('calls over the limit wait their turn, and time out there without having been sent', async (t) => {
  await using server = await EtcdServer.start();
  const store = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo(), maxInFlight: 2 });
  await store.range({ key: 'test/nothing' }, patient);
  server.pause();
  const writes = Array.from({ length: 5 }, (_, index) =>
    verdictOf(store.transact(putting(`test/turn/${index}`), { timeoutMs: index < 2 ? timeoutMs : timeoutMs / 2 })),
  );
  const verdicts = await Promise.all(writes);
  t.deepEqual(
    verdicts.map(({ result }) => result),
    ['timeout unknown', 'timeout unknown', 'timeout transient', 'timeout transient', 'timeout transient'],
  );
  server.resume();
  t.is(
    (await store.range({ prefix: 'test/turn/' }, patient)).entries.filter(({ key }) => key > 'test/turn/1').length,
    0,
  );
  await store.close();
});

test('renewals do not wait behind calls', async (t) => {
  await using server = await EtcdServer.start();
  const store = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo(), maxInFlight: 1 });
  const lease = newLease();
  await store.grant(lease, 60_000, patient);
  let writing = 500;
  const writes = Array.from({ length: writing }, async (_, index) => {
    await store.transact(putting(`test/load/${index}`), { timeoutMs: 60_000 });
    writing -= 1;
  });
  t.is((await store.renew(lease, patient)).ttlMs, 60_000);
  t.true(writing > 0, 'the writes were done before the renewal');
  await Promise.all(writes);
  await store.close();
});

test('a renewal that timed out takes its stream along, so that its late answer renews nothing', async (t) => {
  await using server = await EtcdServer.start();
  await using proxy = await FaultProxy.start(server.endpoint);
  const store = createEtcdStore(systemRuntime(), { endpoints: [proxy.endpoint], ...accessTo() });
  const lease = newLease();
  await store.grant(lease, 60_000, patient);
  await store.renew(lease, patient);
  const streams = async (): Promise<number> => (await server.startedRpcs()).get('LeaseKeepAlive') ?? 0;
  const before = await streams();
  await store.renew(lease, patient);
  t.is(await streams(), before, 'renewals share one stream');

  proxy.dropResponses();
  t.is((await verdictOf(store.renew(lease, { timeoutMs }))).result, 'timeout transient');
  proxy.heal();
  t.is((await store.renew(lease, patient)).ttlMs, 60_000);
  t.true((await streams()) > before);
  await store.close();
});

test('where answers are lost, one renewal lengthens the lease unheard, and no more', async (t) => {
  await using server = await EtcdServer.start();
  await using proxy = await FaultProxy.start(server.endpoint);
  const store = createEtcdStore(systemRuntime(), { endpoints: [proxy.endpoint], ...accessTo() });
  const lease = newLease();
  await store.grant(lease, 60_000, patient);
  await store.renew(lease, patient);
  const received = async (): Promise<number> => {
    const samples = [...(await server.metrics())].filter(
      ([name]) => name.startsWith('grpc_server_msg_received_total{') && name.includes('LeaseKeepAlive'),
    );
    return samples.reduce((sum, [, value]) => sum + value, 0);
  };
  const before = await received();
  t.true(before > 0);
  proxy.dropResponses();
  for (let count = 0; count < 4; count += 1)
    t.is((await verdictOf(store.renew(lease, { timeoutMs }))).result, 'timeout transient');
  t.is((await received()) - before, 1);
  proxy.heal();
  t.is((await store.renew(lease, patient)).ttlMs, 60_000);
  await store.close();
});

test('closing ends calls and watches that are under way', async (t) => {
  await using server = await EtcdServer.start();
  const store = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
  await store.range({ key: 'test/nothing' }, patient);
  const watching = new Watching(store, { span: { prefix: 'test/' }, fromRevision: 1n });
  await watching.until(({ batches }) => batches.length > 0);
  server.pause();
  const calls = settled(everyCall(store, 30_000));
  await verdictOf(store.range({ key: 'test/nothing' }, { timeoutMs: 100 }));
  await store.close();
  const outcomes = results(await calls);
  t.is(outcomes['range'], 'closed permanent');
  t.is(outcomes['transact'], 'closed unknown');
  t.is(outcomes['renew'], 'closed permanent');
  t.is((await watching.ended).result, 'closed permanent');
  server.resume();
});
