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

await serveUntil('all is well', (targets, last) => targets > 5 && last.source === 'live');

network.blackhole();
const outage = await serveUntil(
  'etcd is out of reach',
  (_, last) => last.ageMs > 3_000 && service.health.state === 'degraded',
);
assert.equal(outage.source, 'stale');
assert.throws(() => strict.get('eu'), TooStaleError);
await assert.rejects(routes.put('eu', 'http://10.0.0.1:8080'), CoordinationUnavailableError);
console.log('a strict read was refused, and so was a write, at once: nothing is queued');

network.heal();
/* What was published meanwhile arrives. */
await serveUntil('the network is back', (_, last) => last.source === 'live' && last.revision > outage.revision);
assert.ok(strict.get('eu') !== undefined);

changing.abort();
await publishing;
assert.equal((await routes.read('eu', { consistency: 'linearizable' }))?.value, newest);
await published.delete('eu');

/** Routes as many requests as it can, until it has seen enough. A batch of them is what one turn of the event loop does. */
async function serveUntil(
  when: string,
  isEnough: (targets: number, last: CachedEntry) => boolean,
): Promise<CachedEntry> {
  const startedAt = performance.now();
  const signal = AbortSignal.timeout(30_000);
  const targets = new Set<string>();
  let requests = 0;
  let last: CachedEntry | undefined;
  while (last === undefined || !isEnough(targets.size, last)) {
    for (let request = 0; request < 10_000; request += 1) {
      const route = routes.get('eu');
      assert.ok(route !== undefined, 'there is always a route');
      /* Never back in time. */
      if (last !== undefined && route !== last) assert.ok(route.revision > last.revision);
      last = route;
    }
    requests += 10_000;
    if (last !== undefined) targets.add(last.value);
    await sleep(1, undefined, { signal });
  }
  const perMs = Math.round(requests / (performance.now() - startedAt));
  console.log(
    `${when}: ${perMs} reads a ms, ${targets.size} targets; the last one is ${last.source}, ` +
      `revision ${last.revision}, ${Math.round(last.ageMs)} ms old`,
  );
  return last;
}
