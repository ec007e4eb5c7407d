import test from 'ava';
import type { Instant } from '../runtime/clock.ts';
import { testRuntime } from '../testing/test-runtime.ts';
import type { PeerClocks } from './peer-clocks.ts';
import { Steadiness } from './steadiness.ts';
import { Trust } from './trust.ts';

test('a rest that is shorter than any timer is not asked for: a loop would turn without time passing', async (t) => {
  const runtime = testRuntime();
  const instant: { now: Instant } = { now: { monotonicMs: 0.1, wallMs: 0.1 } };
  const clock = { now: () => instant.now, schedule: () => () => {} };
  const steadiness = new Steadiness(clock.now());
  const peers = { compare: () => Promise.reject(new Error('asked too early')) } as unknown as PeerClocks;
  const trust = new Trust({ ...runtime, clock }, peers, steadiness, { job: 'report', maxSkewMs: 1_000 });
  instant.now = { monotonicMs: 32_383.1, wallMs: 60_000 };
  t.deepEqual(await trust.look(new AbortController().signal), { waitMs: 10_000 });
  const dueMs = 32_383.1 + 10_000 - 1e-11;
  t.true(dueMs - 32_383.1 < 10_000);
  instant.now = { monotonicMs: dueMs, wallMs: dueMs + 27_616.9 };
  t.deepEqual(await trust.look(new AbortController().signal), { waitMs: 1 });
});
