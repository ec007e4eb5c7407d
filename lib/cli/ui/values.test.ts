import test from 'ava';
import { VirtualWorld } from '../../testing/virtual-world.ts';
import { Values } from './values.ts';

const known = (name: string, version: number) => ({ name, version, reports: [] });

test('a value is read again when there is another version of it, and forgotten with its config', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const values = new Values(coordinator);
  const { signal } = new AbortController();
  for (const version of [1, 2]) {
    await world.settle(coordinator.config('limits').set({ version }));
    values.see([known('limits', version)], signal);
    await world.advance(100);
    t.deepEqual(values.of('limits'), { version });
  }
  values.see([], signal);
  t.is(values.of('limits'), undefined);
});

test('a key that no config of holdfast can have stops nothing, and nor does a coordinator that closes', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const values = new Values(coordinator);
  const { signal } = new AbortController();
  await world.settle(coordinator.config('limits').set({ max: 1 }));
  values.see([known('', 1), known('limits', 1)], signal);
  await world.advance(100);
  t.is(values.of(''), undefined);
  t.deepEqual(values.of('limits'), { max: 1 });
  await world.settle(coordinator.close());
  values.see([known('limits', 2)], signal);
  await world.advance(100);
  t.is(values.of('limits'), undefined);
});
