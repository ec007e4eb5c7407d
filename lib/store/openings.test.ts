import test from 'ava';
import { Openings } from './openings.ts';

const never = new AbortController().signal;

test('so many enter at once, the others in order as places become free', async (t) => {
  const openings = new Openings(2);
  const entered: number[] = [];
  const leaving: (() => void)[] = [];
  const all = Array.from({ length: 5 }, async (_, index) => {
    leaving.push(await openings.enter(never));
    entered.push(index);
  });
  await Promise.all(all.slice(0, 2));
  t.deepEqual(entered, [0, 1]);
  leaving[0]?.();
  leaving[0]?.();
  await all[2];
  t.deepEqual(entered, [0, 1, 2], 'a place that is given back twice is one place');
  leaving[1]?.();
  leaving[2]?.();
  await Promise.all(all);
  t.deepEqual(entered, [0, 1, 2, 3, 4]);
});

test('who gives up leaves its turn to the next', async (t) => {
  const openings = new Openings(1);
  const leave = await openings.enter(never);
  const impatient = new AbortController();
  const second = openings.enter(impatient.signal);
  const third = openings.enter(never);
  impatient.abort(new Error('no longer'));
  await t.throwsAsync(second, { message: 'no longer' });
  leave();
  (await third)();
  (await openings.enter(never))();
  await t.throwsAsync(openings.enter(AbortSignal.abort(new Error('no'))), { message: 'no' });
});
