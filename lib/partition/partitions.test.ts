import test, { type ExecutionContext } from 'ava';
import {
  AccessDeniedError,
  ClosedError,
  LimitExceededError,
  LockLostError,
  PartitionCountError,
  PartitionMovedError,
  WorkStuckError,
} from '../errors.ts';
import { unpackToken } from '../queue/token.ts';
import { Disk } from '../simulation/disk.ts';
import { StoreError } from '../store/store-error.ts';
import { SeededRandom } from '../testing/seeded-random.ts';
import { VirtualWorld, type Process } from '../testing/virtual-world.ts';
import type { HeldPartition } from './held-partition.ts';

const COUNT = 16;

/** Processes that own partitions, and who works on what. */
class Crew {
  readonly world = new VirtualWorld();
  /** By partition: those whose work is under way. */
  readonly working = new Map<number, Set<string>>();
  readonly tokens = new Map<number, bigint[]>();
  readonly stops: { readonly by: string; readonly partition: number; readonly reason: unknown }[] = [];
  readonly #t: ExecutionContext;
  /** What work takes to end when it is told to, in milliseconds. */
  drainMs = 20;

  constructor(t: ExecutionContext) {
    this.#t = t;
  }

  async join(
    name: string,
    count = COUNT,
  ): Promise<{ process: Process; stop: AbortController; owning: Promise<never> }> {
    const process = await this.world.connect({ instanceId: name });
    const stop = new AbortController();
    const owning = process.coordinator
      .partitions('orders', { count })
      .own((partition, held) => this.#work(name, partition, held), { signal: stop.signal, drainMs: 2_000 });
    owning.catch(() => {});
    return { process, stop, owning };
  }

  ownersOf(): ReadonlyMap<number, string> {
    return new Map(
      [...this.working].flatMap(([partition, [owner]]) => (owner === undefined ? [] : [[partition, owner]])),
    );
  }

  async #work(name: string, partition: number, held: HeldPartition): Promise<void> {
    const owners = this.working.get(partition) ?? new Set();
    this.working.set(partition, owners);
    this.#t.is(owners.size, 0, `${name} and ${[...owners].join()} both work on ${partition}`);
    this.#t.is(held.partition, partition);
    const tokens = this.tokens.get(partition) ?? [];
    this.#t.true(tokens.every((token) => token < held.token));
    this.tokens.set(partition, [...tokens, held.token]);
    owners.add(name);
    await new Promise<void>((resolve) => {
      held.signal.addEventListener('abort', () => {
        this.stops.push({ by: name, partition, reason: held.signal.reason });
        this.world.runtime.clock.schedule(this.drainMs, () => {
          owners.delete(name);
          resolve();
        });
      });
    });
  }
}

test('partitions are spread over those who are there, and move only to who came and from who went', async (t) => {
  const crew = new Crew(t);
  const a = await crew.join('a');
  await crew.world.advance(500);
  t.is(crew.ownersOf().size, COUNT);
  t.is(a.process.coordinator.partitions('orders', { count: COUNT }).standing().owned.length, COUNT);

  const b = await crew.join('b');
  await crew.world.advance(500);
  const both = crew.ownersOf();
  t.is(both.size, COUNT);
  const ofB = [...both].filter(([, owner]) => owner === 'b').map(([partition]) => partition);
  t.true(ofB.length > 0 && ofB.length < COUNT);
  t.deepEqual(
    b.process.coordinator
      .partitions('orders', { count: COUNT })
      .standing()
      .owned.toSorted((x, y) => x - y),
    ofB.toSorted((x, y) => x - y),
  );
  t.deepEqual(
    crew.stops.map(({ by, partition }) => ({ by, partition })),
    ofB.map((partition) => ({ by: 'a', partition })),
  );
  t.true(crew.stops.every(({ reason }) => reason instanceof PartitionMovedError));

  const c = await crew.join('c');
  await crew.world.advance(500);
  const three = crew.ownersOf();
  for (const [partition, owner] of three) if (owner !== 'c') t.is(owner, both.get(partition)!);

  /* Goes in an orderly way: nobody waits for a lease. */
  b.stop.abort(new Error('scaled in'));
  await t.throwsAsync(crew.world.settle(b.owning, 1_000), { message: 'scaled in' });
  await crew.world.advance(100);
  const two = crew.ownersOf();
  t.is(two.size, COUNT);
  for (const [partition, owner] of three) if (owner !== 'b') t.is(two.get(partition)!, owner);
  t.false([...two.values()].includes('b'));
  t.deepEqual(b.process.coordinator.partitions('orders', { count: COUNT }).standing(), { owned: [], assigned: [] });

  const report = await crew.world.settle(c.process.coordinator.partitions('orders', { count: COUNT }).inspect());
  t.is(report.size, COUNT);
  for (const [partition, { holder, waiters }] of report) {
    t.is(holder?.instanceId, two.get(partition));
    t.is(waiters.length, 0);
  }
  const [token] = crew.tokens.get(0)!;
  t.true(unpackToken(token!).revision > 0n);
});

test('a partition is not given away under work that goes on, and nobody else waits for that', async (t) => {
  const crew = new Crew(t);
  crew.drainMs = 30_000;
  await crew.join('a');
  await crew.world.advance(500);
  await crew.join('b');
  await crew.world.advance(10_000);
  /* Still a's, all of them: the work has not ended. */
  t.true([...crew.ownersOf().values()].every((owner) => owner === 'a'));
  t.true(crew.world.runtime.logger.lines.some(({ fields }) => fields?.['event'] === 'partition.stuck'));
  await crew.world.advance(25_000);
  t.deepEqual(new Set(crew.ownersOf().values()), new Set(['a', 'b']));
});

test('a partition that comes back while its work is still on its way out is owned again', async (t) => {
  const crew = new Crew(t);
  crew.drainMs = 1_500;
  await crew.join('a');
  await crew.world.advance(500);
  const b = await crew.join('b');
  await crew.world.advance(300);
  t.true(crew.stops.length > 0);
  b.stop.abort(new Error('never mind'));
  await t.throwsAsync(crew.world.settle(b.owning, 3_000), { message: 'never mind' });
  await crew.world.advance(3_000);
  t.is(crew.ownersOf().size, COUNT);
  t.true([...crew.ownersOf().values()].every((owner) => owner === 'a'));
});

test('what a process had that vanished is owned again after its lease', async (t) => {
  const crew = new Crew(t);
  const a = await crew.join('a');
  await crew.join('b');
  await crew.world.advance(1_000);
  /* Cut off for good: it is told by its own clock, before the others have its partitions. */
  a.process.store.faults.onRequest(() => 'drop');
  await crew.world.advance(8_000);
  t.true([...crew.ownersOf().values()].every((owner) => owner === 'b'));
  t.is(crew.ownersOf().size, COUNT);
  const lost = crew.stops.filter(({ by, reason }) => by === 'a' && reason instanceof LockLostError);
  t.true(lost.length > 0);
});

test('a process that was cut off for a while has its share again, on a new session', async (t) => {
  const crew = new Crew(t);
  const a = await crew.join('a');
  await crew.join('b');
  await crew.world.advance(1_000);
  const before = crew.ownersOf();
  const undo = a.process.store.faults.onRequest(() => 'drop');
  await crew.world.advance(8_000);
  undo();
  await crew.world.advance(10_000);
  t.deepEqual(crew.ownersOf(), before);
});

test('work that fails costs its partition a pause, and no other one anything', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect({ instanceId: 'a' });
  let failures = 0;
  let others = 0;
  const stop = new AbortController();
  const owning = coordinator.partitions('orders', { count: 4 }).own(
    (partition, { signal }) => {
      if (partition === 2) {
        failures += 1;
        throw new Error('a poisoned item');
      }
      others += 1;
      return new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    },
    { signal: stop.signal },
  );
  owning.catch(() => {});
  await world.advance(30_000);
  t.is(others, 3);
  t.true(failures > 2 && failures < 60, `${failures} failures`);
  t.true(world.runtime.logger.lines.some(({ fields }) => fields?.['event'] === 'partition.failed'));
  stop.abort(new Error('over'));
  await t.throwsAsync(world.settle(owning), { message: 'over' });
  t.deepEqual(world.cluster.entries('test/partition'), []);
});

test('members that count otherwise are refused, and those that were there go on', async (t) => {
  const crew = new Crew(t);
  await crew.join('a', 16);
  await crew.world.advance(500);
  const late = await crew.join('late', 32);
  await t.throwsAsync(crew.world.settle(late.owning, 5_000), {
    instanceOf: PartitionCountError,
    message: /32 here, and 16 at a/,
  });
  await crew.world.advance(500);
  t.is(crew.ownersOf().size, 16);
  t.true([...crew.ownersOf().values()].every((owner) => owner === 'a'));
  t.is(crew.world.cluster.entries('test/partition-member/').length, 1);
  /* And nobody's work was stopped for it. */
  t.deepEqual(crew.stops, []);
});

test('who leaves gives everything away, also while etcd has no space', async (t) => {
  const crew = new Crew(t);
  const a = await crew.join('a');
  await crew.join('b');
  await crew.world.advance(1_000);
  crew.world.cluster.exceedQuota();
  a.stop.abort(new Error('scaled in'));
  await t.throwsAsync(crew.world.settle(a.owning, 30_000), { message: 'scaled in' });
  crew.world.cluster.disarmQuota();
  await crew.world.advance(15_000);
  t.is(crew.ownersOf().size, COUNT);
  t.true([...crew.ownersOf().values()].every((owner) => owner === 'b'));
});

test('work that has ended is not called stuck because etcd does not answer', async (t) => {
  const crew = new Crew(t);
  const a = await crew.join('a');
  await crew.world.advance(1_000);
  crew.world.cluster.stop();
  a.stop.abort(new Error('scaled in'));
  await t.throwsAsync(crew.world.settle(a.owning, 30_000), { message: 'scaled in' });
  t.false(crew.world.runtime.logger.lines.some(({ fields }) => fields?.['event'] === 'partition.stuck'));
});

test('a file of former members makes nobody an owner', async (t) => {
  const world = new VirtualWorld();
  const files = new Disk(new SeededRandom(1));
  const options = { instanceId: 'a', snapshotDir: '/snapshots' };
  const before = world.start(options, files.mount(world.runtime.clock));
  await world.settle(before.coordinator.ready());
  const first = before.coordinator.partitions('orders', { count: 2 }).own(() => {});
  first.catch(() => {});
  await world.advance(5_000);
  await world.settle(before.coordinator.close());
  world.cluster.stop();
  const after = world.start(options, files.mount(world.runtime.clock)).coordinator;
  const second = after.partitions('orders', { count: 4 });
  second.own(() => {}).catch(() => {});
  await world.advance(5_000);
  t.deepEqual(second.standing(), { owned: [], assigned: [] });
  world.cluster.start();
  await world.settle(after.close());
});

test('a closing coordinator ends all work first, and others have it at once', async (t) => {
  const crew = new Crew(t);
  const a = await crew.join('a');
  await crew.join('b');
  await crew.world.advance(1_000);
  await crew.world.settle(a.process.coordinator.close(), 2_000);
  await t.throwsAsync(a.owning, { instanceOf: ClosedError });
  await crew.world.advance(100);
  t.is(crew.ownersOf().size, COUNT);
  t.true([...crew.ownersOf().values()].every((owner) => owner === 'b'));
  t.throws(() => a.process.coordinator.partitions('orders', undefined as never), {
    instanceOf: TypeError,
    message: /options of partitions/,
  });
  t.throws(() => a.process.coordinator.partitions('orders', { count: 0 }), { instanceOf: RangeError });
  await t.throwsAsync(
    a.process.coordinator.partitions('x', { count: 1 }).own(() => {}),
    { instanceOf: ClosedError },
  );
});

test('work that will not end rejects with WorkStuckError and keeps its partitions', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect({ instanceId: 'a' });
  const stop = new AbortController();
  let end = (): void => {};
  const owning = coordinator.partitions('orders', { count: 2 }).own(
    (partition) =>
      new Promise<void>((resolve) => {
        if (partition === 1) end = resolve;
        else resolve();
      }),
    { signal: stop.signal, drainMs: 1_000 },
  );
  owning.catch(() => {});
  await world.advance(500);
  stop.abort();
  await t.throwsAsync(world.settle(owning, 5_000), { instanceOf: WorkStuckError, message: /partitions 1 of/ });
  t.is(world.cluster.entries('test/partition/orders/1/').length, 1);
  t.is(world.cluster.entries('test/partition-member/').length, 1);
  end();
  await world.advance(500);
  t.deepEqual(world.cluster.entries('test/partition'), []);
});

test('one own at a time; a signal that has aborted owns nothing', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect({ instanceId: 'a' });
  const partitions = coordinator.partitions('orders', { count: 2 });
  const stop = new AbortController();
  const first = partitions.own(() => {}, { signal: stop.signal });
  first.catch(() => {});
  await t.throwsAsync(
    partitions.own(() => {}),
    { instanceOf: TypeError },
  );
  stop.abort(new Error('over'));
  await t.throwsAsync(world.settle(first), { message: 'over' });
  await t.throwsAsync(
    partitions.own(() => {}, { signal: AbortSignal.abort(new Error('before')) }),
    { message: 'before' },
  );
  await t.throwsAsync(partitions.own(1 as never), { instanceOf: TypeError });
  t.throws(() => partitions.of(''), { instanceOf: TypeError });
});

test('whom etcd refuses is told so', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect({ instanceId: 'a' });
  const denied = new StoreError('denied', 'permanent', 'permission denied');
  store.faults.onRequest((call) =>
    call.method === 'transact' &&
    call.transaction.then.some((each) => each.type === 'put' && each.key.includes('/partition-member/'))
      ? { refuseWith: denied }
      : undefined,
  );
  const owning = coordinator.partitions('orders', { count: 2 }).own(() => {});
  owning.catch(() => {});
  await t.throwsAsync(world.settle(owning, 5_000), { instanceOf: AccessDeniedError, message: /orders/ });
});

test('who may not read who is there is told so, and keeps nobody from anything', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect({ instanceId: 'a' });
  const denied = new StoreError('denied', 'permanent', 'permission denied');
  store.faults.onRequest((call) => {
    const [range] = call.method === 'transact' ? call.transaction.then : [];
    const isOfMembers = call.method === 'range' ? isMembers(call.range) : range?.type === 'range' && isMembers(range);
    return isOfMembers ? { refuseWith: denied } : undefined;
  });
  const owning = coordinator.partitions('orders', { count: 2 }).own(() => {});
  owning.catch(() => {});
  await t.throwsAsync(world.settle(owning, 30_000), { instanceOf: AccessDeniedError, message: /orders/ });
  t.deepEqual(world.cluster.entries('test/partition-member/'), []);

  function isMembers(span: object): boolean {
    return 'prefix' in span && String(span.prefix).includes('/partition-member/');
  }
});

test('a name that leaves no room to say that it leaves is refused before anything is owned', async (t) => {
  const world = new VirtualWorld();
  const room = 4_096 - JSON.stringify({ instanceId: '', address: '', metadata: { count: '2' } }).length;
  const { coordinator } = await world.connect({ instanceId: 'a'.repeat(Math.floor(room / 2)) });
  const owning = coordinator.partitions('orders', { count: 2 }).own(() => t.fail('it is owned'));
  await t.throwsAsync(world.settle(owning), { instanceOf: LimitExceededError });
});
