import test from 'ava';
import { testRuntime, type TestRuntime } from '../testing/test-runtime.ts';
import { Health, type HealthState } from './health.ts';

const TTL_MS = 10_000;
const MARGIN_MS = 1_000;
const VALID_MS = TTL_MS - MARGIN_MS;

interface Scene {
  readonly runtime: TestRuntime;
  readonly health: Health;
}

function begin(): Scene {
  const runtime = testRuntime();
  return { runtime, health: new Health(runtime, { ttlMs: TTL_MS, marginMs: () => MARGIN_MS }) };
}

type Step = readonly ['contact' | 'failure' | 'close'] | readonly ['wait', number];

const transitions: readonly (readonly [claim: string, steps: readonly Step[], state: HealthState])[] = [
  ['it begins as starting', [], 'starting'],
  ['the first contact connects', [['contact']], 'connected'],
  ['a failure before any contact leaves it starting', [['failure']], 'starting'],
  ['without any contact it is starting for one TTL', [['wait', TTL_MS - 1]], 'starting'],
  ['without any contact it is degraded after one TTL', [['wait', TTL_MS]], 'degraded'],
  ['a failure after contact suspends', [['contact'], ['failure']], 'suspended'],
  ['further failures change nothing', [['contact'], ['failure'], ['failure']], 'suspended'],
  ['contact ends a suspension', [['contact'], ['failure'], ['contact']], 'connected'],
  ['suspended it is trusted for as long as the lease', [['contact'], ['failure'], ['wait', VALID_MS - 1]], 'suspended'],
  ['it degrades when the lease can be trusted no more', [['contact'], ['failure'], ['wait', VALID_MS]], 'degraded'],
  ['it degrades also without a failure, when answers stay out', [['contact'], ['wait', VALID_MS]], 'degraded'],
  ['contact ends a degradation', [['contact'], ['wait', VALID_MS], ['contact']], 'connected'],
  ['a failure does not end a degradation', [['contact'], ['wait', VALID_MS], ['failure']], 'degraded'],
  [
    'contact counts from the last one',
    [['contact'], ['wait', 5_000], ['contact'], ['wait', VALID_MS - 1]],
    'connected',
  ],
  ['closed it stays closed', [['contact'], ['close'], ['contact'], ['failure'], ['wait', TTL_MS]], 'closed'],
];
for (const [claim, steps, state] of transitions) {
  test(claim, async (t) => {
    const { runtime, health } = begin();
    for (const step of steps) {
      if (step[0] === 'wait') await runtime.clock.advance(step[1]);
      else if (step[0] === 'contact') health.contact(runtime.clock.now(), TTL_MS);
      else if (step[0] === 'failure') health.failure('no answer');
      else health.close();
    }
    t.is(health.state, state);
    t.is(health.status.state, state);
    health.close();
    t.is(runtime.clock.pendingTimers, 0);
  });
}

test('contact counts from before it was sent, and one that was sent too long ago connects nothing', async (t) => {
  const { runtime, health } = begin();
  const sentAt = runtime.clock.now();
  await runtime.clock.advance(TTL_MS);
  health.contact(sentAt, TTL_MS);
  t.is(health.state, 'degraded');
  t.is(health.status.lastContactMs, TTL_MS);
});

test('the granted TTL counts, not the one that was asked for', async (t) => {
  const { runtime, health } = begin();
  health.contact(runtime.clock.now(), 60_000);
  await runtime.clock.advance(58_999);
  t.is(health.state, 'connected');
  await runtime.clock.advance(1);
  t.is(health.state, 'degraded');
});

test('a suspended machine is degraded when it is asked, before any timer has run', (t) => {
  const { runtime, health } = begin();
  health.contact(runtime.clock.now(), TTL_MS);
  runtime.clock.suspend(VALID_MS);
  t.is(health.state, 'degraded');
});

test('the status tells since when and why', async (t) => {
  const { runtime, health } = begin();
  t.deepEqual(health.status, { state: 'starting', sinceMs: 0, lastContactMs: undefined });
  health.contact(runtime.clock.now(), TTL_MS);
  await runtime.clock.advance(100);
  health.failure('no answer');
  await runtime.clock.advance(50);
  health.failure('still none');
  t.deepEqual(health.status, { state: 'suspended', sinceMs: 50, lastContactMs: 150, reason: 'still none' });
  health.contact(runtime.clock.now(), TTL_MS);
  t.deepEqual(health.status, { state: 'connected', sinceMs: 0, lastContactMs: 0 });
});

test('who watches sees the current status, then each change of state, then the end', async (t) => {
  const { runtime, health } = begin();
  const seen: HealthState[] = [];
  const watching = (async () => {
    for await (const { state } of health.watch()) seen.push(state);
  })();
  const steps = [
    async () => health.contact(runtime.clock.now(), TTL_MS),
    async () => health.failure('one'),
    async () => health.failure('two'),
    () => runtime.clock.advance(VALID_MS),
    async () => health.close(),
  ];
  await runtime.clock.flush();
  for (const step of steps) {
    await step();
    await runtime.clock.flush();
  }
  await watching;
  t.deepEqual(seen, ['starting', 'connected', 'suspended', 'degraded', 'closed']);
});
