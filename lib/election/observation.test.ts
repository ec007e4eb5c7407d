import test from 'ava';
import { AccessDeniedError } from '../errors.ts';
import { StoreError } from '../store/store-error.ts';
import { VirtualWorld } from '../testing/virtual-world.ts';
import type { Leader } from './leader.ts';

const QUEUE = 'test/election/reporter/';

async function observed() {
  const world = new VirtualWorld();
  const leader = await world.connect({ instanceId: 'leader' });
  const { coordinator, store } = await world.connect({ instanceId: 'observer' });
  const sequence = coordinator.election('reporter').observe();
  const seen: string[] = [];
  const tokens: bigint[] = [];
  const done = (async () => {
    for await (const each of sequence) {
      seen.push(shown(each));
      if (each !== undefined) tokens.push(each.token);
    }
  })().catch((error: unknown) => error);
  return { world, leader, election: leader.coordinator.election('reporter'), coordinator, store, seen, tokens, done };
}

function shown(leader: Leader | undefined): string {
  return leader === undefined ? 'nobody' : `${leader.instanceId ?? 'stranger'}=${leader.value}`;
}

test('an observer is told of absence first, then of every leader, proclamation and absence in order', async (t) => {
  const { world, election, seen, tokens } = await observed();
  await world.advance(100);
  t.deepEqual(seen, ['nobody']);
  for (const value of ['a', 'b']) {
    const leadership = await world.settle(election.campaign({ value }));
    await world.settle(leadership.proclaim(`${value}2`));
    await world.settle(leadership.resign());
    t.is(tokens.at(-1), leadership.token);
  }
  await world.advance(100);
  t.deepEqual(seen, ['nobody', ...['leader=a', 'leader=a2', 'nobody'], ...['leader=b', 'leader=b2', 'nobody']]);
});

test('changes that arrive together are told one by one', async (t) => {
  const { world, store, seen } = await observed();
  await world.advance(100);
  store.faults.onWatch((_, batch) => (batch.events.length > 0 ? { delayMs: 500 } : undefined));
  for (const value of ['a', 'b', 'c']) {
    world.cluster.put(`${QUEUE}7f`, value);
    if (value === 'b') world.cluster.delete(`${QUEUE}7f`);
  }
  await world.advance(1_000);
  t.deepEqual(seen, ['nobody', 'stranger=a', 'stranger=b', 'nobody', 'stranger=c']);
});

test('a waiting candidate changes nothing, and follows without absence when it already waited', async (t) => {
  const { world, seen } = await observed();
  world.cluster.put(`${QUEUE}1`, 'a');
  world.cluster.put(`${QUEUE}2`, 'b');
  await world.advance(100);
  world.cluster.delete(`${QUEUE}1`);
  await world.advance(100);
  t.deepEqual(seen.slice(-2), ['stranger=a', 'stranger=b']);
});

test('an observer goes on after a reconnection, over compaction as well, and invents nobody', async (t) => {
  const { world, store, seen } = await observed();
  world.cluster.put(`${QUEUE}1`, 'a');
  await world.advance(100);
  for (const compacts of [false, true]) {
    const heal = store.faults.cutOff();
    store.faults.disconnectWatches();
    world.cluster.delete(`${QUEUE}1`);
    world.cluster.put(`${QUEUE}1`, compacts ? 'd' : 'b');
    world.cluster.delete(`${QUEUE}1`);
    world.cluster.put(`${QUEUE}1`, compacts ? 'e' : 'c');
    if (compacts) world.cluster.compact();
    heal();
    await world.advance(10_000);
  }
  t.deepEqual(seen.slice(-6), ['stranger=a', 'nobody', 'stranger=b', 'nobody', 'stranger=c', 'stranger=e']);
  t.false(seen.includes('stranger=d'));
});

test('observers share one watch, which ends with the last of them', async (t) => {
  const { world, coordinator } = await observed();
  await world.advance(100);
  const before = world.cluster.openWatches;
  const more = [0, 1, 2].map(() => coordinator.election('reporter').observe());
  for (const each of more) t.is((await world.settle(each.next())).value, undefined);
  t.is(world.cluster.openWatches, before);
  for (const each of more) await each.return();
  await world.settle(coordinator.close());
  t.is(world.cluster.openWatches, 1);
});

test('an observer ends when the coordinator closes, and throws the reason of its signal', async (t) => {
  const { world, coordinator, done } = await observed();
  const abort = new AbortController();
  const other = coordinator.election('reporter').observe({ signal: abort.signal });
  await world.settle(other.next());
  const next = other.next();
  abort.abort(new Error('enough'));
  await t.throwsAsync(next, { message: 'enough' });
  const late = coordinator.election('reporter').observe({ signal: abort.signal });
  await t.throwsAsync(late.next(), { message: 'enough' });
  await world.settle(coordinator.close());
  t.is(await done, undefined);
  t.is(world.runtime.clock.pendingTimers > 0, true);
});

test('an observer who may not read is told so', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const denied = new StoreError('denied', 'permanent', 'permission denied');
  store.faults.onRequest((call) => (call.method === 'range' ? { refuseWith: denied } : undefined));
  const sequence = coordinator.election('reporter').observe();
  await t.throwsAsync(world.settle(sequence.next()), { instanceOf: AccessDeniedError });
});

test('a revision that is the first after a gap is one step, too: nobody is told of an absence that never was', async (t) => {
  const { world, store, seen } = await observed();
  world.cluster.put(`${QUEUE}1`, 'a');
  await world.advance(100);
  const mend = store.faults.cutOff();
  for (let count = 0; count < 3; count += 1) world.cluster.put('elsewhere', String(count));
  world.cluster.compact();
  await world.advance(20_000);
  mend();
  await world.advance(20_000);
  world.cluster.transact({
    compare: [],
    then: [
      { type: 'delete', key: `${QUEUE}1` },
      { type: 'put', key: `${QUEUE}2`, value: 'b' },
    ],
  });
  await world.advance(1_000);
  t.deepEqual(seen, ['nobody', 'stranger=a', 'stranger=b']);
});
