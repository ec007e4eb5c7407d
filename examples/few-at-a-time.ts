/**
 * Two license seats, three renderers: at most two render at a time, each on a seat of its own, and a guard for each seat refuses whoever was
 * paused past its lease. Meanwhile the catalogue is read together and rebuilt alone.
 *
 *     HOLDFAST_ENDPOINTS=http://127.0.0.1:2379 node dist/examples/few-at-a-time.js
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCoordinator, StaleTokenError, type HeldPermit } from 'holdfast';
import { memoryGuard } from 'holdfast/guards/memory';

const SEATS = 2;
/** What each seat has rendered, behind a guard: in earnest a device, or a row of a database. */
const seats = memoryGuard();
const rendered: { readonly seat: number; readonly frame: number; readonly by: string }[] = [];
let rendering = 0;
let most = 0;

async function render(by: string, frame: number, held: HeldPermit): Promise<void> {
  rendering += 1;
  most = Math.max(most, rendering);
  await sleep(20, undefined, { signal: held.signal });
  rendering -= 1;
  /* The last word is the seat's. */
  seats.check(`seat:${held.slot}`, held.token);
  rendered.push({ seat: held.slot, frame, by });
}

const frames = Array.from({ length: 12 }, (_, frame) => frame);
let catalogue = { version: 1, frames: 0 };
let earlier: HeldPermit | undefined;

const ann = createCoordinator({ namespace: 'example', instanceId: 'ann' });
const others = ['ben', 'cleo'].map((instanceId) => createCoordinator({ namespace: 'example', instanceId }));
const renderers = [ann, ...others];
try {
  await Promise.all(
    renderers.map(async (coordinator) => {
      const licenses = coordinator.semaphore('license', { permits: SEATS });
      const lock = coordinator.readWriteLock('catalogue');
      for (let frame = frames.shift(); frame !== undefined; frame = frames.shift()) {
        const next = frame;
        await licenses.with(async (held) => {
          await render(coordinator.instanceId, next, held);
          if (held.slot === 0) earlier ??= held;
        });
        await lock.write().with(async () => {
          const { version } = catalogue;
          await sleep(2);
          assert.equal(catalogue.version, version, 'nobody else writes meanwhile');
          catalogue = { version: version + 1, frames: rendered.length };
        });
        await lock.read().with(() => {
          assert.ok(catalogue.version > 1);
        });
      }
    }),
  );
  assert.equal(rendered.length, 12);
  assert.ok(most <= SEATS, `${most} rendered at a time`);
  for (const { seat, frame, by } of rendered) console.log(`${by} rendered frame ${frame} on seat ${seat}`);

  /* Somebody who had seat 0 long ago, and believes to have it still. */
  const { token } = earlier ?? assert.fail('seat 0 was used');
  assert.throws(() => seats.check('seat:0', token), StaleTokenError);
  console.log('Who had seat 0 before is refused by its token.');

  const { holders, waiters } = await ann.semaphore('license', { permits: SEATS }).inspect();
  assert.deepEqual({ holders: holders.length, waiters: waiters.length }, { holders: 0, waiters: 0 });
} finally {
  await Promise.all(renderers.map((coordinator) => coordinator.close()));
}
