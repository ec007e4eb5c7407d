import test from 'ava';
import { Bulkhead } from '../../resilience/bulkhead.ts';
import { VirtualClock } from '../../testing/virtual-clock.ts';
import { Bounds } from './bounds.ts';

test('a write that was sent has an unknown outcome when its time is over; one that was not, and a read, are transient', async (t) => {
  const clock = new VirtualClock();
  const row = (kind: 'read' | 'write', sent: boolean): Bounds => {
    const bounds = new Bounds(clock, kind, 'txn', 100);
    bounds.sent = sent;
    return bounds;
  };
  const all = [row('write', true), row('write', false), row('read', true), row('read', false)];
  await clock.advance(99);
  t.true(all.every(({ ended }) => ended === undefined));
  await clock.advance(1);
  t.deepEqual(
    all.map(({ ended }) => [ended?.reason, ended?.outcome]),
    [
      ['timeout', 'unknown'],
      ['timeout', 'transient'],
      ['timeout', 'transient'],
      ['timeout', 'transient'],
    ],
  );
});

test('a timeout says what it was spent on', async (t) => {
  const clock = new VirtualClock();
  const bounds = new Bounds(clock, 'read', 'range', 100);
  const part = bounds.part(50);
  part.waitingFor = 'a connection to http://etcd:2379';
  await clock.advance(100);
  t.is(part.ended?.message, 'range waited 50 ms for a connection to http://etcd:2379');
  t.is(bounds.ended?.message, 'range waited 100 ms for a connection to http://etcd:2379');
});

test('only who waits for a place says that it waited for its turn', async (t) => {
  const clock = new VirtualClock();
  const bulkhead = new Bulkhead(1);
  const row = (): Bounds => new Bounds(clock, 'read', 'range', 100);
  const [inside, admitted, waiting] = [row(), row(), row()];
  await inside.enter(bulkhead);
  const entering = admitted.enter(bulkhead);
  const left = t.throwsAsync(waiting.enter(bulkhead), { message: 'range waited 100 ms for its turn' });
  bulkhead.leave();
  await entering;
  await clock.advance(100);
  await left;
  t.deepEqual(
    [inside, admitted].map(({ ended }) => ended?.message),
    ['range waited 100 ms for an answer', 'range waited 100 ms for an answer'],
  );
});

test('a part ends before the whole, or with it, and what a part has sent the whole has sent', async (t) => {
  const clock = new VirtualClock();
  const whole = new Bounds(clock, 'write', 'txn', 100);
  const first = whole.part(40);
  await clock.advance(40);
  t.is(first.ended?.reason, 'timeout');
  t.is(whole.ended, undefined);

  const second = whole.part(1_000);
  second.sent = true;
  const cause = new Error('enough');
  whole.end('cancelled', 'stop', cause);
  t.is(second.ended, whole.ended);
  t.deepEqual([whole.ended?.outcome, whole.ended?.cause], ['unknown', cause]);
  t.is(clock.pendingTimers, 0);
});

test('it ends once, and a later listener is told at once', (t) => {
  const bounds = new Bounds(new VirtualClock(), 'read', 'range', 100);
  const told: string[] = [];
  bounds.onEnd(({ reason }) => told.push(`early ${reason}`));
  bounds.onEnd(() => told.push('removed'))();
  bounds.end('closed', 'closed');
  bounds.end('cancelled', 'cancelled');
  bounds.onEnd(({ reason }) => told.push(`late ${reason}`));
  t.deepEqual(told, ['early closed', 'late closed']);
});

test('whoever gives up waiting for a place takes none', async (t) => {
  const clock = new VirtualClock();
  const bulkhead = new Bulkhead(1);
  const inside = new Bounds(clock, 'read', 'range', 1_000);
  await inside.enter(bulkhead);
  const impatient = new Bounds(clock, 'write', 'txn', 10);
  const patient = new Bounds(clock, 'write', 'txn', 1_000);
  const gaveUp = t.throwsAsync(impatient.enter(bulkhead), { message: /waited 10 ms for its turn/ });
  const admitted = patient.enter(bulkhead);
  await clock.advance(10);
  await gaveUp;
  bulkhead.leave();
  await admitted;
  t.deepEqual([bulkhead.inside, bulkhead.waiting], [1, 0]);
  bulkhead.leave();
  t.is(bulkhead.inside, 0);
});

test('a place that is given at the very end is given back', async (t) => {
  const bulkhead = new Bulkhead(1);
  bulkhead.tryEnter();
  const bounds = new Bounds(new VirtualClock(), 'read', 'range', 100);
  const entering = t.throwsAsync(bounds.enter(bulkhead));
  bulkhead.leave();
  bounds.end('closed', 'closed');
  await entering;
  t.is(bulkhead.inside, 0);
});
