/**
 * A service that reads its limits from etcd and follows them while it runs, with a fallback for when nothing is known; and an operator
 * who changes them, takes a change back, and makes mistakes.
 *
 *     HOLDFAST_ENDPOINTS=http://127.0.0.1:2379 node dist/examples/live-config.js
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigInvalidError, createCoordinator, VersionConflictError, type RolloutReport } from 'holdfast';
import { z } from 'zod';

/* Any Standard Schema does. Service and operator use the same one. */
const schema = z.object({ perMinute: z.number().int().positive(), burst: z.number().int().positive() });
const fallback = { perMinute: 60, burst: 10 };

await using service = createCoordinator({ namespace: 'example', instanceId: 'service' });
await using operator = createCoordinator({ namespace: 'example', instanceId: 'operator' });

/* The service. It may start while etcd is away: until something is known, the fallback stands. */
const limits = service.config('limits', { schema, fallback, freshnessMs: 1_000 });
const stop = new AbortController();
const following = follow(stop.signal);

async function follow(signal: AbortSignal): Promise<void> {
  for await (const entry of limits.watch({ signal })) {
    if (entry === undefined) continue;
    const { value, version, ageMs, source, resynced } = entry;
    const age = Number.isFinite(ageMs) ? `${Math.round(ageMs)} ms old` : 'of no age';
    const gap = resynced === true ? ', versions between were not served' : '';
    console.log(`service: ${value.perMinute} a minute (version ${version}, ${source}, ${age}${gap})`);
  }
}

/** What a request handler does: no I/O, no waiting, at any rate. */
function allows(requestsThisMinute: number): boolean {
  return requestsThisMinute < (limits.get()?.value.perMinute ?? 0);
}

assert.equal(allows(59), true, 'the fallback allows 60 a minute');
assert.equal(limits.get()?.source, 'fallback');
await limits.ready();

/* The operator. `set` resolves once the operator's own process has the new version, not the service's. */
const settings = operator.config('limits', { schema, fallback });
const first = await settings.set({ perMinute: 100, burst: 20 });
await untilServed(first.version);
assert.equal(allows(99), true);

/* Read, change, write against the very version that was read; again if somebody was faster. */
const second = await settings.update((current) => ({ burst: 20, perMinute: 2 * (current?.perMinute ?? 60) }));
await untilServed(second.version);
assert.deepEqual([second.version, limits.get()?.value.perMinute], [first.version + 1, 200]);

/* Mistakes that are found before anything is sent. */
await assert.rejects(settings.set({ perMinute: 0, burst: 20 }), ConfigInvalidError);
await assert.rejects(settings.set({ perMinute: 1, burst: 1 }, { ifVersion: first.version }), VersionConflictError);
console.log('operator: a limit of 0, and a change to a version that is not the newest, were refused');

/* A mistake that reaches etcd, by a program that knows nothing of the schema. The service refuses it and keeps what it has. */
const careless = await operator.config('limits').set({ perMinute: 'many' });
const report = await untilReported((each) => each.refused?.version === careless.version);
assert.equal(limits.get()?.version, second.version, 'an invalid version never replaces a good one');
console.log(
  `operator: version ${careless.version} was refused by ${report.instanceId}, which serves ${report.applied}`,
);

/* A rollback is a new version with the value of an earlier one. */
const back = await settings.rollback(first.version);
await untilServed(back.version);
assert.deepEqual([back.version, limits.get()?.value.perMinute], [careless.version + 1, 100]);
await untilReported((each) => each.applied === back.version && each.refused === undefined);
console.log(`operator: rolled back to version ${first.version}, as version ${back.version}; every instance serves it`);

/* Without an entry the fallback stands again. History stays, so the next version is higher than every one before. */
await settings.delete();
await untilServed(0);
stop.abort();
await following.catch((error: unknown) => assert.equal(error, stop.signal.reason));

async function untilServed(version: number): Promise<void> {
  for await (const entry of limits.watch({ signal: AbortSignal.timeout(5_000) }))
    if (entry?.version === version) return;
}

/** What the service reports of itself, off its hot path and within a second or so. */
async function untilReported(isIt: (report: RolloutReport) => boolean): Promise<RolloutReport> {
  const signal = AbortSignal.timeout(5_000);
  for (;;) {
    const found = (await settings.rollout({ signal })).find((each) => each.instanceId === 'service' && isIt(each));
    if (found !== undefined) return found;
    await sleep(100, undefined, { signal });
  }
}
