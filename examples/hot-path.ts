/**
 * Requests that are routed from memory, at full speed, while somebody else changes the routes; then the network to etcd goes silent. Reads
 * go on and say how old they are; a strict reader refuses what is too old; a write is refused at once. Then the network is back.
 *
 *     HOLDFAST_ENDPOINTS=http://127.0.0.1:2379 node dist/examples/hot-path.js
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { CoordinationUnavailableError, createCoordinator, TooStaleError, type CachedEntry } from 'holdfast';
import { FaultProxy } from 'holdfast/testing';

const [etcd = ''] = (process.env['HOLDFAST_ENDPOINTS'] ?? 'http://127.0.0.1:2379').split(',');
await using network = await FaultProxy.start(etcd);

/* The service reaches etcd through a network that can fail. A short TTL, so that it gives up on etcd soon enough for an example. */
await using service = createCoordinator({
  endpoints: network.endpoint,
  namespace: 'example',
  session: { ttlMs: 2_000 },
});
const routes = service.cache('routes/', { freshnessMs: 500 });
/* The same routes, and the same watch, for whom an old answer is worse than none. */
const strict = service.cache('routes/', { freshnessMs: 500, maxStalenessMs: 1_000, onStale: 'throw' });

/* Somebody else, whose network is well. */
await using control = createCoordinator({ endpoints: etcd, namespace: 'example' });
const published = control.cache('routes/');
const changing = new AbortController();
let newest = await publish(1);
const publishing = (async () => {
  for (let generation = 2; !changing.signal.aborted; generation += 1) {
    newest = await publish(generation);
    await sleep(50);
  }
})();

async function publish(generation: number): Promise<string> {
  const target = `http://10.0.0.${generation % 250}:8080/?generation=${generation}`;
  await published.put('eu', target);
  return target;
}

await routes.ready();
await routes.read('eu', { consistency: 'linearizable' });

const calm = await serve('all is well', 1_500);
assert.ok(calm.targets > 5, `expected the service to see the routes change, got ${calm.targets} of them`);
assert.equal(calm.last.source, 'live');

network.blackhole();
const outage = await serve('etcd is out of reach', 3_000);
assert.equal(outage.last.source, 'stale');
assert.ok(outage.last.ageMs >= 2_500, `expected the age to show the outage, got ${outage.last.ageMs} ms`);
assert.throws(() => strict.get('eu'), TooStaleError);
assert.equal(service.health.state, 'degraded');
await assert.rejects(routes.put('eu', 'http://10.0.0.1:8080'), CoordinationUnavailableError);
console.log('a strict read was refused, and so was a write, at once: nothing is queued');

network.heal();
await untilLive();
const after = await serve('the network is back', 1_000);
assert.equal(after.last.source, 'live');
assert.ok(after.last.revision > outage.last.revision, 'what was published meanwhile has arrived');
assert.ok(strict.get('eu') !== undefined);

changing.abort();
await publishing;
assert.equal((await routes.read('eu', { consistency: 'linearizable' }))?.value, newest);
await published.delete('eu');

/** Routes as many requests as it can. A batch of them is what one turn of the event loop does. */
async function serve(when: string, forMs: number): Promise<{ readonly targets: number; readonly last: CachedEntry }> {
  const until = performance.now() + forMs;
  const targets = new Set<string>();
  let requests = 0;
  let last: CachedEntry | undefined;
  while (performance.now() < until) {
    for (let request = 0; request < 10_000; request += 1) {
      const route = routes.get('eu');
      assert.ok(route !== undefined, 'there is always a route');
      /* Never back in time. */
      if (last !== undefined && route !== last) assert.ok(route.revision > last.revision);
      last = route;
    }
    requests += 10_000;
    if (last !== undefined) targets.add(last.value);
    await sleep(1);
  }
  assert.ok(last !== undefined);
  console.log(
    `${when}: ${Math.round(requests / forMs)} reads a ms, ${targets.size} targets; the last one is ${last.source}, ` +
      `revision ${last.revision}, ${Math.round(last.ageMs)} ms old`,
  );
  return { targets: targets.size, last };
}

async function untilLive(): Promise<void> {
  const signal = AbortSignal.timeout(8_000);
  while (routes.get('eu')?.source !== 'live') await sleep(20, undefined, { signal });
}
