import test from 'ava';
import { VersionConflictError } from '../errors.ts';
import { VirtualWorld, type Process } from '../testing/virtual-world.ts';
import { unpackToken } from './token.ts';

async function put({ store }: Process, value: string): Promise<void> {
  await store.transact({ compare: [], then: [{ type: 'put', key: 'test/epoch', value }] }, { timeoutMs: 1_000 });
}

test('an epoch that is raised is in the next token, and is lowered by force alone', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  t.is(await world.settle(coordinator.epoch()), 0);
  await world.settle(coordinator.setEpoch(7));
  const held = await world.settle(coordinator.lock('a').acquire());
  t.is(unpackToken(held.token).epoch, 7);
  await world.settle(coordinator.setEpoch(7));
  await t.throwsAsync(world.settle(coordinator.setEpoch(6)), {
    instanceOf: VersionConflictError,
    message: /from 7 to 6/,
  });
  t.is(await world.settle(coordinator.epoch()), 7);
  await world.settle(coordinator.setEpoch(6, { force: true }));
  t.is(await world.settle(coordinator.epoch()), 6);
  await world.settle(coordinator.close());
});

test('what is no epoch is not written over but by force', async (t) => {
  const world = new VirtualWorld();
  const process = await world.connect();
  const { coordinator } = process;
  await world.settle(put(process, 'one'));
  await t.throwsAsync(world.settle(coordinator.setEpoch(1)), { message: /not a number from 0 to 255/ });
  await world.settle(coordinator.setEpoch(1, { force: true }));
  t.is(await world.settle(coordinator.epoch()), 1);
  await t.throwsAsync(world.settle(coordinator.setEpoch(256)), { instanceOf: RangeError });
  await world.settle(coordinator.close());
});

test('of several who raise it at the same time none is lost: each is told of a conflict, or its number stood', async (t) => {
  const world = new VirtualWorld();
  const processes = [await world.connect(), await world.connect(), await world.connect()];
  const settled = await world.settle(
    Promise.allSettled(processes.map(({ coordinator }, index) => coordinator.setEpoch(index + 1))),
  );
  for (const each of settled) if (each.status === 'rejected') t.true(each.reason instanceof VersionConflictError);
  const highest = settled.findLastIndex(({ status }) => status === 'fulfilled') + 1;
  t.is(await world.settle(processes[0]!.coordinator.epoch()), highest);
  await world.settle(Promise.all(processes.map(({ coordinator }) => coordinator.close())));
});
