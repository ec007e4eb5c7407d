import test from 'ava';
import { LockTimeoutError, SelfDeadlockError } from '../errors.ts';
import { unpackToken } from '../queue/token.ts';
import { VirtualWorld } from '../testing/virtual-world.ts';
import type { HeldLock } from './held-lock.ts';

async function scene(processes = 3) {
  const world = new VirtualWorld();
  const all = [];
  for (let index = 0; index < processes; index += 1) all.push(await world.connect({ instanceId: `p${index}` }));
  const locks = all.map(({ coordinator }) => coordinator.readWriteLock('catalogue'));
  const ask = async (by: number, side: 'read' | 'write'): Promise<{ held: HeldLock | undefined }> => {
    const asked: { held: HeldLock | undefined } = { held: undefined };
    void locks[by]![side]()
      .acquire()
      .then((held) => (asked.held = held));
    await world.advance(20);
    return asked;
  };
  const release = async ({ held }: { held: HeldLock | undefined }): Promise<void> => {
    await world.settle(held!.release());
    await world.advance(20);
  };
  return { world, all, locks, ask, release };
}

test('readers hold together, of several processes and of one; a writer holds alone', async (t) => {
  const { world, ask, release } = await scene();
  const readers = [await ask(0, 'read'), await ask(0, 'read'), await ask(1, 'read')];
  t.true(readers.every(({ held }) => held?.isHeld()));
  const writer = await ask(2, 'write');
  t.is(writer.held, undefined);
  for (const reader of readers) await release(reader);
  t.true(writer.held?.isHeld());
  const late = await ask(0, 'read');
  t.is(late.held, undefined);
  await release(writer);
  t.true(late.held!.token > writer.held!.token);
  await release(late);
  t.deepEqual(world.cluster.entries('test/rwlock/'), []);
});

test('readers that come after a writer wait for it: it is not starved', async (t) => {
  const { ask, release } = await scene();
  const reader = await ask(0, 'read');
  const writer = await ask(1, 'write');
  const behind = await ask(2, 'read');
  t.is(behind.held, undefined);
  await release(reader);
  t.true(writer.held?.isHeld());
  t.is(behind.held, undefined);
  await release(writer);
  t.true(behind.held?.isHeld());
});

test('writers have it one after the other, with rising tokens', async (t) => {
  const { ask, release } = await scene();
  const [first, second] = [await ask(0, 'write'), await ask(1, 'write')];
  const third = await ask(0, 'write');
  await release(first);
  await release(second);
  t.true(third.held!.token > second.held!.token);
  t.true(second.held!.token > first.held!.token);
});

test('a reader that stands behind a writer goes on when that one gives up', async (t) => {
  const { world, locks, ask } = await scene();
  await ask(0, 'read');
  const abort = new AbortController();
  const writer = t.throwsAsync(locks[1]!.write().acquire({ signal: abort.signal }), { message: 'enough' });
  await world.advance(20);
  const behind = await ask(2, 'read');
  t.is(behind.held, undefined);
  abort.abort(new Error('enough'));
  await world.settle(writer);
  await world.advance(50);
  t.true(behind.held?.isHeld());
});

test('a try to read is refused by a writer alone, and one to write by anybody', async (t) => {
  const { world, locks, ask, release } = await scene();
  const reader = await ask(0, 'read');
  const other = await world.settle(locks[1]!.read().tryAcquire());
  t.true(other?.isHeld());
  t.is(await world.settle(locks[1]!.write().tryAcquire()), undefined);
  await world.settle(other!.release());
  await release(reader);
  const writer = await world.settle(locks[1]!.write().tryAcquire());
  t.true(writer?.isHeld());
  t.is(await world.settle(locks[2]!.read().tryAcquire()), undefined);
});

test('a try to read that is not answered stands once, with the revision of its first writing', async (t) => {
  const { world, all, locks } = await scene();
  all[0]!.store.faults.nextResponse('transact', 'break');
  const held = await world.settle(locks[0]!.read().tryAcquire());
  const [entry] = world.cluster.entries('test/rwlock/');
  t.is(unpackToken(held!.token).revision, entry!.createRevision);
  t.is(entry!.version, 1n);
});

test('work under one side that asks for either is told, before it hangs', async (t) => {
  const { world, locks } = await scene(1);
  await world.settle(
    locks[0]!.read().with(async () => {
      await t.throwsAsync(locks[0]!.write().acquire(), { instanceOf: SelfDeadlockError });
      await t.throwsAsync(locks[0]!.read().acquire(), { instanceOf: SelfDeadlockError });
    }),
  );
});

test('the sides do not wait for each other in the process: readers come together after a writer', async (t) => {
  const { world, locks, ask, release } = await scene(1);
  const writer = await ask(0, 'write');
  const readers = [await ask(0, 'read'), await ask(0, 'read'), await ask(0, 'read')];
  await t.throwsAsync(world.settle(locks[0]!.read().acquire({ timeoutMs: 200 })), { message: /^The read lock/ });
  await release(writer);
  t.true(readers.every(({ held }) => held?.isHeld()));
});

test('a writer that waits for a reader times out as behind a lock', async (t) => {
  const { world, locks, ask } = await scene();
  await ask(0, 'read');
  await t.throwsAsync(world.settle(locks[1]!.write().acquire({ timeoutMs: 300 })), { instanceOf: LockTimeoutError });
});

test('inspect tells who holds it together, or alone, and who waits', async (t) => {
  const { world, locks, ask, release } = await scene();
  const readers = [await ask(0, 'read'), await ask(1, 'read')];
  const writer = await ask(2, 'write');
  await ask(0, 'read');
  const report = await world.settle(locks[0]!.read().inspect());
  t.deepEqual(
    report.holders.map(({ instanceId }) => instanceId),
    ['p0', 'p1'],
  );
  t.deepEqual(
    report.waiters.map(({ instanceId }) => instanceId),
    ['p2', 'p0'],
  );
  for (const reader of readers) await release(reader);
  const { holders } = await world.settle(locks[0]!.write().inspect());
  t.deepEqual(
    holders.map(({ token }) => token),
    [writer.held!.token],
  );
});

test('a break of the watch, and a restart, do not let a reader pass a writer', async (t) => {
  const { world, all, ask, release } = await scene();
  const writer = await ask(0, 'write');
  const reader = await ask(1, 'read');
  for (const { store } of all) store.faults.disconnectWatches();
  await world.advance(3_000);
  t.is(reader.held, undefined);
  await release(writer);
  await world.advance(1_000);
  t.true(reader.held?.isHeld());
});
