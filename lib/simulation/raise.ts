import { sleep } from '../runtime/clock.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import type { Possession } from './history.ts';
import type { Machine } from './machine.ts';
import type { World } from './world.ts';

/** After this long a worker does not wait any longer for the answer to its write; the write is under way all the same. */
const WRITE_PATIENCE_MS = 300;

/**
 * Reads the counter behind a queue, works, and writes it plus one. Some stop when they hold it no more; the careless ones write whatever
 * happened.
 */
export async function raise(
  world: World,
  machine: Machine,
  queue: string,
  held: Possession,
  random: SeededRandom,
): Promise<void> {
  const { register, setup } = world;
  const { token } = held;
  const isBrief = random.chance(world.briefHolds);
  const farMs = isBrief ? 3 : 15;
  const read = await register.read(machine, queue, token, random.integer(1, farMs));
  const longestMs = random.chance(world.longHolds) ? 3 * setup.ttlMs : 400;
  if (!isBrief) await linger(world, machine, random.integer(0, longestMs));
  const isCareless = random.chance(0.5);
  if (!isCareless && !held.isHeld()) return;
  const isHealed = world.healedAtMs !== undefined;
  const delayMs = random.chance(0.1) && !isHealed ? random.integer(0, 1.5 * setup.ttlMs) : random.integer(1, farMs);
  await Promise.race([register.write(machine, queue, token, read, delayMs), sleep(machine.host, WRITE_PATIENCE_MS)]);
}

/** Works for a while, in small steps, and comes to an end soon once the world is healed. */
export async function linger(world: World, machine: Machine, durationMs: number): Promise<void> {
  for (let leftMs = durationMs; leftMs > 0 && world.healedAtMs === undefined; leftMs -= 100) {
    await sleep(machine.host, Math.min(100, leftMs));
  }
}
