import test from 'ava';
import * as fc from 'fast-check';
import { TimerQueue } from './timer-queue.ts';

test('timers come out by due time, then by creation, without the cancelled ones', (t) => {
  const timers = fc.array(fc.record({ dueMs: fc.nat(20), cancelled: fc.boolean() }), { maxLength: 60 });
  fc.assert(
    fc.property(timers, (plan) => {
      const queue = new TimerQueue();
      const seen: number[] = [];
      const cancels = plan.map(({ dueMs }, order) => queue.add(dueMs, () => seen.push(order)));
      plan.forEach(({ cancelled }, order) => cancelled && cancels[order]?.());

      const expected = plan
        .map(({ dueMs, cancelled }, order) => ({ dueMs, cancelled, order }))
        .filter(({ cancelled }) => !cancelled)
        .toSorted((a, b) => a.dueMs - b.dueMs)
        .map(({ order }) => order);
      t.is(queue.size, expected.length);
      for (let timer = queue.take(); timer !== undefined; timer = queue.take()) timer.callback();
      t.deepEqual(seen, expected);
      t.is(queue.size, 0);
    }),
  );
});
