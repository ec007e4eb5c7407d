import test from 'ava';
import * as fc from 'fast-check';
import { VirtualClock } from '../testing/virtual-clock.ts';
import { Breaker, type Evidence } from './breaker.ts';

const options = { failureRatio: 0.5, window: 4, minAttempts: 4, openMs: 1_000 };

function attempt(breaker: Breaker, evidence: Evidence): Promise<{ readonly evidence: Evidence }> {
  return breaker.run(async () => ({ evidence }));
}

async function opened(clock: VirtualClock): Promise<Breaker> {
  const breaker = new Breaker(clock, options);
  for (let failures = 0; failures < 4; failures += 1) await attempt(breaker, 'failing');
  return breaker;
}

test('it opens when more than its share of the last attempts failed, and not before there were enough', async (t) => {
  const breaker = new Breaker(new VirtualClock(), options);
  for (const evidence of ['failing', 'failing', 'failing'] as const) await attempt(breaker, evidence);
  t.is(breaker.state, 'closed');
  await attempt(breaker, 'failing');
  t.is(breaker.state, 'open');
});

test('half of the attempts is not more than half of them', async (t) => {
  const breaker = new Breaker(new VirtualClock(), options);
  for (const evidence of ['failing', 'alive', 'failing', 'alive', 'failing', 'alive'] as const)
    await attempt(breaker, evidence);
  t.is(breaker.state, 'closed');
});

test('what was given up counts neither way', async (t) => {
  const breaker = new Breaker(new VirtualClock(), options);
  for (let call = 0; call < 20; call += 1) t.deepEqual(await attempt(breaker, 'nothing'), { evidence: 'nothing' });
  for (let failures = 0; failures < 3; failures += 1) await attempt(breaker, 'failing');
  t.is(breaker.state, 'closed');
});

test('it refuses for its time by the clock it was given, then lets one attempt through, whose success closes it', async (t) => {
  const clock = new VirtualClock();
  const breaker = await opened(clock);
  t.is(breaker.refusesForMs, 1_000);
  await clock.advance(999);
  t.is(breaker.refusesForMs, 1);
  await clock.advance(1);
  t.is(breaker.refusesForMs, 0);

  let answer: (shown: { readonly evidence: Evidence }) => void = () => {};
  const probe = breaker.run(
    () =>
      new Promise<{ readonly evidence: Evidence }>((resolve) => {
        answer = resolve;
      }),
  );
  t.is(breaker.state, 'half-open');
  t.is(breaker.refusesForMs, 1_000);
  answer({ evidence: 'alive' });
  await probe;
  t.is(breaker.state, 'closed');
  t.is(breaker.refusesForMs, 0);
});

for (const evidence of ['failing', 'nothing'] as const) {
  test(`a probe that shows ${evidence} leaves it open for as long again`, async (t) => {
    const clock = new VirtualClock();
    const breaker = await opened(clock);
    await clock.advance(1_000);
    await attempt(breaker, evidence);
    t.is(breaker.state, 'open');
    t.is(breaker.refusesForMs, 1_000);
  });
}

test('a wall clock that is set back does not keep it open', async (t) => {
  const clock = new VirtualClock();
  const breaker = await opened(clock);
  clock.jumpWall(-3_600_000);
  await clock.advance(1_000);
  t.is(breaker.refusesForMs, 0);
  await attempt(breaker, 'alive');
  t.is(breaker.state, 'closed');
});

test('whatever the attempts show and however time passes, it lets one through at a time, and none before its time', async (t) => {
  const step = fc.oneof(
    fc.record({ waitMs: fc.integer({ min: 0, max: 1_500 }) }),
    fc.record({ evidence: fc.constantFrom<Evidence>('alive', 'failing', 'failing', 'failing', 'nothing') }),
  );
  let probes = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
      const clock = new VirtualClock();
      const breaker = new Breaker(clock, options);
      let openedAtMs = Number.NaN;
      for (const step of steps) {
        if ('waitMs' in step) await clock.advance(step.waitMs);
        else if (breaker.refusesForMs === 0) {
          const { state } = breaker;
          const isProbe = state === 'open';
          if (isProbe) {
            probes += 1;
            t.true(clock.elapsedMs - openedAtMs >= options.openMs);
          }
          await attempt(breaker, step.evidence);
          if (isProbe) t.is(breaker.state, step.evidence === 'alive' ? 'closed' : 'open');
          if (breaker.state === 'open') openedAtMs = clock.elapsedMs;
        }
      }
    }),
    { numRuns: 200 },
  );
  t.true(probes > 100, `${probes} probes`);
});
