import test, { type ExecutionContext } from 'ava';
import * as fc from 'fast-check';
import { ClosedError, ConfigInvalidError, LimitExceededError } from './errors.ts';
import { anything, withOneReplaced } from './testing/arbitraries.ts';
import { VirtualWorld } from './testing/virtual-world.ts';

interface Target {
  readonly valid: object;
  readonly take: (options: never) => unknown;
}

/** Taken, or refused by an error that names what is wrong. A coordinator that is closed refuses what it would have taken. */
async function judge(t: ExecutionContext, act: () => unknown, ...names: readonly string[]): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (error instanceof ClosedError) return;
    const isDocumented = [TypeError, RangeError, ConfigInvalidError, LimitExceededError].some(
      (each) => error instanceof each,
    );
    t.true(isDocumented, String(error));
    const { message } = error as Error;
    t.true(
      names.some((name) => message.includes(name)),
      `${message}\n… does not name ${names.join(' or ')}`,
    );
  }
}

function check(title: string, { valid, take }: Target): void {
  test(`the options of ${title} are taken, or refused by name, whatever they are`, async (t) => {
    /* Of a Map, say, `keys` is a function. */
    const names = ['ptions of', ...Object.keys(valid)];
    await fc.assert(fc.asyncProperty(anything, (options) => judge(t, () => take(options as never), ...names)));
    await fc.assert(
      fc.asyncProperty(withOneReplaced(valid), ([options, name]) => judge(t, () => take(options as never), name)),
    );
    t.pass();
  });
}

const { coordinator } = new VirtualWorld().start();
let jobs = 0;
const staleness = { maxStalenessMs: 30_000, onStale: 'throw', freshnessMs: 5_000 };
const schema = { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } };
const retries = { onLeaderLoss: 'retry', maxAttempts: 3, maxRunMs: 1_000, overlap: true };

const opening: Readonly<Record<string, Target>> = {
  lock: { valid: { handoff: true, lingerMs: 100 }, take: (options) => coordinator.lock('a', options) },
  lockAll: { valid: { handoff: true, lingerMs: 100 }, take: (options) => coordinator.lockAll(['a'], options) },
  config: {
    valid: { schema, fallback: { max: 1 }, ...staleness },
    take: (options) => coordinator.config('a', options),
  },
  cache: {
    valid: { keys: 'all', maxEntries: 10, maxBytes: 1_000, ...staleness },
    take: (options) => coordinator.cache('a/', options),
  },
  'an on-demand cache': {
    valid: { keys: 'on-demand', max: 10, maxBytes: 1_000, ...staleness },
    take: (options) => coordinator.cache('a/', options),
  },
  registry: { valid: staleness, take: (options) => coordinator.registry('a', options) },
  partitions: { valid: { count: 8 }, take: (options) => coordinator.partitions('a', options) },
  schedule: {
    valid: { timezone: 'UTC', missed: 'last', ...retries, historyLimit: 100, maxClockSkewMs: 30_000 },
    take: (options) => coordinator.schedule(`job ${(jobs += 1)}`, '0 3 * * *', () => {}, options),
  },
};
for (const [title, target] of Object.entries(opening)) check(title, target);

const closed = new VirtualWorld().start().coordinator;
const lock = closed.lock('a');
const election = closed.election('a');
const config = closed.config('a');
const cache = closed.cache('a/');
const onDemand = closed.cache('b/', { keys: 'on-demand' });
const registry = closed.registry('a');
const partitions = closed.partitions('a', { count: 4 });
const controls = closed.jobControls('a');
test.before(() => closed.close());

const { signal } = new AbortController();
const waiting = { timeoutMs: 100, signal, waitForRecovery: false };
const work = () => {};

const calling: Readonly<Record<string, Target>> = {
  acquire: { valid: waiting, take: (options) => lock.acquire(options) },
  with: { valid: waiting, take: (options) => lock.with(work, options) },
  tryAcquire: { valid: { signal }, take: (options) => lock.tryAcquire(options) },
  inspect: { valid: { signal }, take: (options) => lock.inspect(options) },
  once: { valid: { ttlMs: 5_000, ...waiting }, take: (options) => closed.once('a', work, options) },
  forgetOnce: { valid: { signal }, take: (options) => closed.forgetOnce('a', options) },
  'a history of a job': { valid: { limit: 5, signal }, take: (options) => controls.history(options) },
  'the status of a job': { valid: { signal }, take: (options) => controls.status(options) },
  trigger: { valid: { signal }, take: (options) => controls.trigger(options) },
  pause: { valid: { signal }, take: (options) => controls.pause(options) },
  resume: { valid: { signal }, take: (options) => controls.resume(options) },
  jobs: { valid: { signal }, take: (options) => closed.jobs(options) },
  epoch: { valid: { signal }, take: (options) => closed.epoch(options) },
  setEpoch: { valid: { force: true, signal }, take: (options) => closed.setEpoch(1, options) },
  register: {
    valid: {
      address: 'a',
      metadata: { a: 'b' },
      check: work,
      checkEveryMs: 1,
      checkTimeoutMs: 1,
      unreadyAfter: 1,
      signal,
    },
    take: (options) => registry.register(options),
  },
  own: { valid: { signal, drainMs: 1 }, take: (options) => partitions.own(work, options) },
  campaign: { valid: { value: 'x', ...waiting }, take: (options) => election.campaign(options) },
  lead: {
    valid: { value: 'x', signal, drainMs: 100, onStuck: 'reject' },
    take: (options) => election.lead(work, options),
  },
  'a ready config': { valid: { timeoutMs: 100, signal }, take: (options) => config.ready(options) },
  'a write of a config': { valid: { ifVersion: 1, signal }, take: (options) => config.set(1, options) },
  'a read of a cache': {
    valid: { consistency: 'linearizable', minRevision: 5n, signal },
    take: (options) => cache.read('k', options),
  },
  'a read of an on-demand cache': {
    valid: { consistency: 'linearizable', minRevision: 5n, signal },
    take: (options) => onDemand.read('k', options),
  },
  'a write of a cache': { valid: { ifRevision: 5n, signal }, take: (options) => cache.put('k', 'v', options) },
};
for (const [title, target] of Object.entries(calling)) check(title, target);

const scheduled = new Set<unknown>();

const named: Readonly<Record<string, (name: never) => unknown>> = {
  lock: (name) => coordinator.lock(name),
  election: (name) => coordinator.election(name),
  config: (name) => coordinator.config(name, { fallback: 1 }),
  cache: (name) => coordinator.cache(name),
  /* A coordinator schedules a name once, and what is drawn can be drawn again. */
  schedule: (name) => {
    if (!scheduled.has(name)) coordinator.schedule(name, '0 3 * * *', work);
    scheduled.add(name);
  },
  jobControls: (name) => coordinator.jobControls(name),
  registry: (name) => coordinator.registry(name),
  partitions: (name) => coordinator.partitions(name, { count: 1 }),
  once: (key) => closed.once(key, work),
};
const calledOtherwise: Readonly<Record<string, string>> = {
  cache: 'the prefix of the cache',
  jobControls: 'the name of the schedule',
  once: 'the key of once',
  partitions: 'the name of the partition',
};
for (const [kind, open] of Object.entries(named)) {
  test(`the name of a ${kind} is taken, or refused as what it is, whatever it is`, async (t) => {
    const expected = calledOtherwise[kind] ?? `the name of the ${kind}`;
    const property = fc.asyncProperty(fc.oneof(anything, fc.string({ unit: 'binary' })), (name) =>
      judge(t, () => open(name as never), name === 'already' ? 'already' : expected),
    );
    await fc.assert(property);
    t.pass();
  });
}

test('the names of lockAll are taken, or refused as what they are, whatever they are', async (t) => {
  const property = fc.asyncProperty(fc.oneof(anything, fc.array(anything)), (names) =>
    judge(t, () => coordinator.lockAll(names as never), 'name'),
  );
  await fc.assert(property);
  t.pass();
});

test('a pattern of a schedule is taken, or refused as what it is, whatever it is', async (t) => {
  const field = fc.stringMatching(/^[0-9*/,\-LW#A-Z]{1,5}$/);
  const pattern = fc.oneof(
    anything,
    fc.string(),
    fc.array(field, { minLength: 1, maxLength: 7 }).map((fields) => fields.join(' ')),
  );
  const property = fc.asyncProperty(pattern, (given) =>
    judge(t, () => coordinator.schedule(`job ${(jobs += 1)}`, given as never, work), 'the pattern of a schedule'),
  );
  await fc.assert(property, { numRuns: 300 });
  t.pass();
});
