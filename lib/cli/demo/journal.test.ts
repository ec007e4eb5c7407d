import test from 'ava';
import { VirtualClock } from '../../testing/virtual-clock.ts';
import { Journal, UnseenError } from './journal.ts';
import type { Observation } from './observation.ts';

function scene() {
  const clock = new VirtualClock();
  const stop = new AbortController();
  const shown: Observation[] = [];
  const journal = new Journal(clock, {
    signal: stop.signal,
    patienceMs: 1_000,
    onAdded: (observation) => shown.push(observation),
  });
  return { clock, stop, journal, shown };
}

test('what is there already is found from its place on, and what comes is waited for', async (t) => {
  const { clock, journal } = scene();
  journal.add({ type: 'woken', worker: 'ann' });
  journal.add({ type: 'woken', worker: 'ben' });
  t.is((await journal.first('woken', 1)).worker, 'ben');
  const awaited = journal.first(['woken', 'stopped'], journal.end, ({ worker }) => worker === 'ann');
  journal.add({ type: 'woken', worker: 'ben' });
  journal.add({ type: 'stopped', worker: 'ann', pid: 1, token: 1n });
  t.is((await awaited).type, 'stopped');
  t.is(clock.pendingTimers, 0);
});

test('what does not come is noted, and told', async (t) => {
  const { clock, journal, shown } = scene();
  const awaited = t.throwsAsync(journal.first('woken', 0), { instanceOf: UnseenError });
  await clock.advance(1_000);
  await awaited;
  t.deepEqual(
    shown.map(({ type }) => type),
    ['unseen'],
  );
});

test('all waiting ends when the demo is stopped, and nothing is noted', async (t) => {
  const { clock, stop, journal, shown } = scene();
  const reason = new Error('ended by SIGINT');
  const before = t.throwsAsync(journal.first('woken', 0), { is: reason });
  stop.abort(reason);
  await before;
  await t.throwsAsync(journal.first('woken', 0), { is: reason });
  t.is(clock.pendingTimers, 0);
  t.deepEqual(shown, []);
});

test('what a worker says late has the time at which it was seen', (t) => {
  const { journal } = scene();
  journal.add({ type: 'cut' });
  const [{ atMs } = { atMs: Number.NaN }] = journal.observations;
  journal.add({ type: 'woken', worker: 'ann' }, 0);
  t.true((journal.observations[1]?.atMs ?? 0) < atMs);
});
