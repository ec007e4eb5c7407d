/** However the log of a span is cut, repeated, broken off or listed anew on its way, what comes of it is what the log says. */
import test from 'ava';
import * as fc from 'fast-check';
import { RetryBudget } from '../resilience/retry-budget.ts';
import { revisionOf as revisionOfEvent } from '../store/follow.ts';
import type { WatchFault } from '../store/memory/faults.ts';
import { MemoryCluster } from '../store/memory/memory-cluster.ts';
import type { KeyValue, RangeResponse, WatchEvent } from '../store/store.ts';
import { testRuntime } from '../testing/test-runtime.ts';
import { Contents, difference, type Change } from './contents.ts';
import { Detour } from './detour.ts';
import { Replica } from './replica.ts';
import { Trail } from './trail.ts';

type Entries = ReadonlyMap<string, KeyValue>;

/** One revision: its events, and what stands after it. */
interface Step {
  readonly revision: bigint;
  readonly events: readonly WatchEvent[];
  readonly after: Entries;
}

const KEYS = ['a', 'b', 'c', 'd'];

/** What is written in one revision; few keys, so that they come and go. */
const writes = fc.uniqueArray(fc.tuple(fc.constantFrom(...KEYS), fc.constantFrom('put', 'delete', 'delete')), {
  selector: ([key]) => key,
  minLength: 1,
  maxLength: 3,
});

/** A log from revision 1 on. What deletes nothing but what is not there is no revision. */
const logs: fc.Arbitrary<readonly Step[]> = fc.array(writes, { minLength: 1, maxLength: 40 }).map((all) => {
  const steps: Step[] = [];
  let entries: Entries = new Map();
  for (const some of all) {
    const modRevision = BigInt(steps.length + 1);
    const after = new Map(entries);
    const events: WatchEvent[] = [];
    for (const [key, type] of some) {
      const old = entries.get(key);
      if (type === 'put') {
        const { createRevision = modRevision, version = 0n } = old ?? {};
        const entry = { key, value: `${modRevision}`, createRevision, modRevision, version: version + 1n, lease: 0n };
        events.push({ type, entry });
        after.set(key, entry);
      } else if (old !== undefined) {
        events.push({ type: 'delete', key, modRevision });
        after.delete(key);
      }
    }
    if (events.length === 0) continue;
    steps.push({ revision: modRevision, events, after });
    entries = after;
  }
  return steps;
});

/** What stands as of a revision. */
const standing = (log: readonly Step[], revision: bigint): Entries => log[Number(revision) - 1]?.after ?? new Map();

const plain = (entries: Entries): Record<string, KeyValue> =>
  Object.fromEntries([...entries].toSorted(([a], [b]) => (a < b ? -1 : 1)));

const revisionOf = (change: Change): bigint => (change.type === 'put' ? change.entry.modRevision : change.revision);

/** What somebody has who follows the changes. */
function fold(changes: readonly Change[], entries = new Map<string, KeyValue>()): Map<string, KeyValue> {
  for (const change of changes) {
    if (change.type === 'put') entries.set(change.entry.key, change.entry);
    else entries.delete(change.key);
  }
  return entries;
}

test('a log that is cut into any batches, with any repeats and lists between them, is told once and leads where it does', (t) => {
  /* Each batch: which revisions it repeats, how many are new, and whether a list comes first that is ahead by so many. */
  const batches = fc.array(
    fc.record({ back: fc.nat(5), repeated: fc.nat(5), fresh: fc.nat(5), listed: fc.option(fc.nat(5)) }),
  );
  fc.assert(
    fc.property(logs, batches, (log, cuts) => {
      let contents = new Contents();
      const followed = new Map<string, KeyValue>();
      let applied = 0;
      for (const { back, repeated, fresh, listed } of [...cuts, { back: 0, repeated: 0, fresh: 40, listed: null }]) {
        if (listed !== null) {
          applied = Math.min(log.length, applied + listed);
          const list = Contents.of(standing(log, BigInt(applied)).values());
          fold(difference(contents, list, BigInt(applied), true), followed);
          contents = list;
        }
        const from = Math.max(0, applied - back);
        const old = log.slice(from, Math.min(applied, from + repeated));
        const events = [...old, ...log.slice(applied, applied + fresh)].flatMap((step) => step.events);
        const changes = contents.apply(events, BigInt(applied));
        t.true(changes.every((change) => revisionOf(change) > applied));
        fold(changes, followed);
        applied = Math.min(log.length, applied + fresh);
        t.deepEqual(plain(contents.entries), plain(standing(log, BigInt(applied))));
        t.deepEqual(plain(followed), plain(contents.entries));
      }
      t.is(contents.bytes, Contents.of(contents.entries.values()).bytes);
    }),
  );
});

test('a detour from what is proved is taken at one go, and leads where the log does', (t) => {
  fc.assert(
    fc.property(logs, fc.nat(), fc.nat(), (log, from, to) => {
      const begin = from % (log.length + 1);
      const stood = plain(standing(log, BigInt(begin)));
      /* The proof: as it stands at the beginning, it stands again later. */
      const same = log.filter(({ revision, after }) => revision > begin && isEqual(plain(after), stood));
      const proved = same.length === 0 ? BigInt(begin) : (same[to % same.length]?.revision ?? 0n);
      const contents = Contents.of(standing(log, BigInt(begin)).values());
      const detour = new Detour();
      let applied = BigInt(begin);
      for (const { revision, events } of log.slice(begin)) {
        for (const [at, some] of detour.take([revision, events], proved, (key) => contents.entries.has(key))) {
          contents.apply(some, applied);
          applied = at;
        }
        if (revision <= proved) t.deepEqual(plain(contents.entries), stood);
        if (revision >= proved) t.is(applied, revision);
      }
      t.deepEqual(plain(contents.entries), plain(standing(log, BigInt(log.length))));
    }),
    { numRuns: 1_000 },
  );
});

test('an answer proves a replica that has all up to it, refutes none, and proves none that shows something else', (t) => {
  fc.assert(
    fc.property(logs, fc.nat(), fc.nat(), fc.nat(), (log, askedAt, answeredAt, weighedAt) => {
      const asked = askedAt % (log.length + 1);
      const answered = asked + (answeredAt % (log.length + 1 - asked));
      const weighed = asked + (weighedAt % (log.length + 1 - asked));
      const trail = new Trail(BigInt(asked), standing(log, BigInt(asked)).size);
      const question = trail.ask({ prefix: '' });
      for (const { revision, events, after } of log.slice(asked, weighed)) trail.step(revision, events, after.size);
      const verdict = trail.weigh(question, answerTo(standing(log, BigInt(answered)), asked, answered));
      const shown = plain(standing(log, BigInt(Math.min(weighed, answered))));
      const isComplete = isEqual(shown, plain(standing(log, BigInt(answered))));
      t.is(verdict, isComplete ? 'proved' : 'waiting');
    }),
    { numRuns: 1_000 },
  );
});

function answerTo(entries: Entries, asked: number, revision: number): RangeResponse {
  const newer = [...entries.values()]
    .filter(({ modRevision }) => modRevision > asked)
    .toSorted((a, b) => Number(b.modRevision - a.modRevision));
  return { revision: BigInt(revision), count: entries.size, entries: newer.slice(0, 1), more: newer.length > 1 };
}

function isEqual(a: Record<string, KeyValue>, b: Record<string, KeyValue>): boolean {
  const [one, other] = [Object.values(a), Object.values(b)];
  return one.length === other.length && one.every(({ key, modRevision }) => b[key]?.modRevision === modRevision);
}

test('a replica comes to what the store has, and tells each change once, whatever happens to its watch on the way', async (t) => {
  const fault = fc.constantFrom<WatchFault>('deliver', 'duplicate', 'break', 'hold', { delayMs: 300 });
  const moment = fc.record({
    writes,
    fault,
    then: fc.constantFrom('go on', 'go on', 'disconnect', 'compact', 'list again', 'release'),
    waitMs: fc.constantFrom(0, 0, 50, 500),
  });
  const property = fc.asyncProperty(fc.array(moment, { maxLength: 25 }), async (moments) => {
    const runtime = testRuntime();
    const cluster = new MemoryCluster(runtime);
    const store = cluster.connect({ latencyMs: 2 });
    const repetition = { attemptTimeoutMs: 1_000, baseMs: 50, capMs: 1_000, budget: new RetryBudget(runtime.clock) };
    const limits = { maxEntries: 100, maxBytes: 1_000_000 };
    const replica = new Replica(runtime, store, repetition, { span: { prefix: 'p/' }, freshnessMs: 1_000, ...limits });
    const changes: Change[] = [];
    replica.follow({ changed: (some) => changes.push(...some) });
    let next: WatchFault = 'deliver';
    let compacted = 1n;
    store.faults.onWatch(() => next);
    replica.start();
    await runtime.clock.settle(replica.reached(0n, new AbortController().signal));
    const before = cluster.log.length;
    for (const { writes: some, fault: now, then, waitMs } of moments) {
      next = now;
      const operations = some.map(([key, type]) =>
        type === 'put'
          ? ({ type, key: `p/${key}`, value: String(cluster.revision) } as const)
          : ({ type: 'delete', key: `p/${key}` } as const),
      );
      cluster.transact({ compare: [], then: operations });
      if (then === 'disconnect' || then === 'compact') store.faults.disconnectWatches();
      if (then === 'compact' && cluster.revision > compacted) {
        cluster.compact();
        compacted = cluster.revision;
      }
      if (then === 'list again') replica.resync('the test says so');
      if (then === 'release') store.faults.releaseWatches();
      await runtime.clock.advance(waitMs);
    }
    store.faults.heal();
    await runtime.clock.advance(60_000);
    await runtime.clock.settle(replica.close());
    const stored = new Map(cluster.entries('p/').map((entry) => [entry.key, entry]));
    t.deepEqual(plain(replica.entries), plain(stored));
    t.deepEqual(plain(fold(changes)), plain(stored));
    /* Where nothing was lost or kept back for long, there is no reason to list again. */
    if (moments.some((each) => each.fault === 'hold' || ['compact', 'list again'].includes(each.then))) return;
    const written = cluster.log.slice(before).flatMap(({ events }) => events);
    t.deepEqual(
      changes.map(revisionOf),
      written.map((event) => revisionOfEvent(event)),
    );
  });
  await fc.assert(property);
});
