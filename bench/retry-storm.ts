import type { PolicyOptions } from '../lib/resilience/policy-options.ts';
import { Policy } from '../lib/resilience/policy.ts';
/**
 * What retries do to a service that fails: three layers of callers, each repeating what the one below it answers with an error. Repeats
 * multiply from layer to layer, and an overloaded service gets more to do the less of it it can do, also after the cause has gone ("Addressing Cascading
 * Failures", Google SRE book; Bronson et al., "Metastable Failures in Distributed Systems", HotOS 2021). In virtual time, so that every run
 * finds the same.
 */
import { sleep } from '../lib/runtime/clock.ts';
import { SeededRandom } from '../lib/testing/seeded-random.ts';
import { VirtualClock } from '../lib/testing/virtual-clock.ts';
import type { Finding } from './findings.ts';

export interface RetryStormOptions {
  /** How long each of the two stories goes on, in seconds of virtual time. */
  readonly seconds: number;
}

const LAYERS = ['edge', 'orders', 'stock'] as const;
const CALLS_PER_SECOND = 50;
/** Three repeats, as is common. */
const RETRY = { maxAttempts: 4, baseDelayMs: 50, maxDelayMs: 500 };
/** What the service takes for one call. It is half as busy as it can be, and can do a fifth of what is wanted when it is slow. */
const SERVICE_MS = 10;
const SLOW_MS = 100;
const BUDGET = { ratio: 0.1, minPerSecond: 1, capacity: 10 };
/** So much that it never refuses: retries as they are without one. */
const NO_BUDGET = { ratio: 3, minPerSecond: 1e6, capacity: 1e6 };

const CONTESTANTS = [
  { name: 'retries alone', options: { budget: NO_BUDGET } },
  { name: 'within a budget', options: { budget: BUDGET } },
  { name: 'within a budget, and a breaker', options: { budget: BUDGET, breaker: {} } },
] as const;

type Service = (signal: AbortSignal) => Promise<void>;

export async function retryStorm({ seconds }: RetryStormOptions): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  /* Behind a breaker next to nothing is sent to a service that is down, which is no merit of the budget. */
  for (const { name, options } of CONTESTANTS.slice(0, 2)) {
    findings.push(await amplification(name, options, seconds));
  }
  for (const { name, options } of CONTESTANTS) {
    findings.push(await recovery(name, options, seconds));
  }
  return findings;
}

/** The layers, each with a policy of its own towards the one below. */
function layersAbove(clock: VirtualClock, service: Service, options: Partial<PolicyOptions>): Service {
  return LAYERS.reduceRight<Service>((below, name, index) => {
    const policy = new Policy(clock, new SeededRandom(index + 1), {
      name,
      timeoutMs: 1_000,
      retry: RETRY,
      idempotent: true,
      ...options,
    });
    return (signal) => policy.execute((context) => below(context.signal), { signal });
  }, service);
}

/** Nothing succeeds, and quickly. Attempts at the service for each call that was wanted. */
async function amplification(name: string, options: Partial<PolicyOptions>, seconds: number): Promise<Finding> {
  const clock = new VirtualClock({ turns: 1 });
  let sent = 0;
  const call = layersAbove(
    clock,
    async () => {
      sent += 1;
      await sleep(clock, 2);
      throw new Error('down');
    },
    options,
  );
  const { wanted } = await steadyCalls(clock, call, seconds);
  /* Each layer adds its share to what comes from above, and what time and the start give. */
  const given = BUDGET.minPerSecond * seconds + BUDGET.capacity;
  const bound = LAYERS.reduce((load) => load * (1 + BUDGET.ratio) + given, wanted) / wanted;
  return {
    what: `a service that is down, under 3 layers, ${name}: attempts per call`,
    measured: sent / wanted,
    ...(name === 'retries alone'
      ? {}
      : { target: { atMost: Math.ceil(bound * 100) / 100, why: 'what three budgets allow' } }),
  };
}

/** A service that does one thing at a time is slow for a while. The share of the calls it answers after that. */
async function recovery(name: string, options: Partial<PolicyOptions>, seconds: number): Promise<Finding> {
  const clock = new VirtualClock({ turns: 1 });
  const [slowFromMs, slowToMs] = [seconds * 100, seconds * 250];
  const isSlow = (): boolean => clock.elapsedMs >= slowFromMs && clock.elapsedMs < slowToMs;
  let queue = Promise.resolve();
  const call = layersAbove(
    clock,
    async () => {
      /* One after the other. It does not notice who has given up, and does what nobody waits for any more. */
      queue = queue.then(() => sleep(clock, isSlow() ? SLOW_MS : SERVICE_MS));
      await queue;
    },
    options,
  );
  const { wanted, answered } = await steadyCalls(clock, call, seconds, slowToMs);
  return {
    what: `a service that was slow for a while, ${name}: share of calls answered afterwards`,
    measured: answered / wanted,
  };
}

/** Calls at a steady rate, whatever becomes of them. Counts those from `fromMs` on. */
async function steadyCalls(
  clock: VirtualClock,
  call: Service,
  seconds: number,
  fromMs = 0,
): Promise<{ readonly wanted: number; readonly answered: number }> {
  const { signal } = new AbortController();
  let [wanted, answered] = [0, 0];
  const all: Promise<void>[] = [];
  for (let made = 0; made < seconds * CALLS_PER_SECOND; made += 1) {
    const counts = clock.elapsedMs >= fromMs;
    if (counts) wanted += 1;
    const count = (): void => {
      if (counts) answered += 1;
    };
    all.push(call(signal).then(count, () => {}));
    await clock.advance(1_000 / CALLS_PER_SECOND);
  }
  await clock.settle(Promise.all(all), { withinMs: 600_000 });
  return { wanted, answered };
}
