import test from 'ava';
import { MemoryCluster } from '../store/memory/memory-cluster.ts';
import { StoreError } from '../store/store-error.ts';
import { testRuntime } from '../testing/test-runtime.ts';
import { Questions, type AskOptions } from './questions.ts';

function asking({ latencyMs = 0 } = {}) {
  const runtime = testRuntime();
  const cluster = new MemoryCluster(runtime);
  const store = cluster.connect({ latencyMs });
  const questions = new Questions(runtime, store);
  /** What was sent: for each call, how many ranges. */
  const sent: number[] = [];
  store.faults.onRequest((call) => {
    sent.push(call.method === 'transact' ? call.transaction.then.length : 1);
    return undefined;
  });
  const ask = (key: string, options: Partial<AskOptions> = {}) =>
    questions.ask({ key }, { timeoutMs: 1_000, ...options });
  /** A proof's question: small, whatever the value. */
  const prove = (key: string, options: Partial<AskOptions> = {}) =>
    questions.ask({ key, keysOnly: true }, { timeoutMs: 1_000, ...options });
  const values = async (asked: readonly ReturnType<typeof ask>[]) =>
    (await runtime.clock.settle(Promise.all(asked))).map(({ entries }) => entries[0]?.value);
  return { runtime, cluster, store, questions, sent, ask, prove, values };
}

const keys = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => `k${index}`);

const reasonOf = (result: PromiseSettledResult<unknown>): string | undefined =>
  result.status === 'rejected' && result.reason instanceof StoreError ? result.reason.reason : undefined;

test('what is asked in one breath goes in groups of a hundred, and each gets its own answer', async (t) => {
  const { runtime, cluster, sent, prove } = asking();
  for (const key of keys(230)) cluster.put(key, key);
  const answers = await runtime.clock.settle(Promise.all(keys(230).map((key) => prove(key))));
  t.deepEqual(
    answers.map(({ entries }) => entries[0]?.key),
    keys(230),
  );
  t.deepEqual(sent, [100, 100, 30]);
});

test('what asks for values goes in groups the smaller, the larger they are', async (t) => {
  const { cluster, sent, ask, values } = asking();
  const burst = async (count: number): Promise<readonly number[]> => {
    sent.length = 0;
    t.deepEqual(
      await values(keys(count).map((key) => ask(key))),
      Array.from({ length: count }, (_, index) => cluster.get(`k${index}`)?.value),
    );
    return sent;
  };
  for (const key of keys(400)) cluster.put(key, key);
  t.is((await burst(400))[0], 16, 'nothing is known of their size');
  t.deepEqual(await burst(400), [100, 100, 100, 100]);
  for (const key of keys(100)) cluster.put(key, 'x'.repeat(300_000));
  await burst(100);
  t.is((await burst(100))[0], 4, 'about a mebibyte');
});

test('one question alone is a plain range, without any wait', async (t) => {
  const { runtime, cluster, sent, ask } = asking();
  cluster.put('a', '1');
  const answer = await runtime.clock.settle(ask('a'), { withinMs: 0 });
  t.is(answer.entries[0]?.value, '1');
  t.is(answer.revision, cluster.revision);
  t.deepEqual(sent, [1]);
});

test('the patient wait for others, until the first has no patience left or the group is full', async (t) => {
  const { runtime, sent, prove } = asking();
  const first = prove('a', { patienceMs: 100 });
  await runtime.clock.advance(60);
  const second = prove('b', { patienceMs: 100 });
  await runtime.clock.advance(39);
  t.deepEqual(sent, []);
  await runtime.clock.advance(1);
  t.deepEqual(sent, [2]);
  await Promise.all([first, second]);

  const full = keys(100).map((key) => prove(key, { patienceMs: 100 }));
  await runtime.clock.settle(Promise.all(full), { withinMs: 0 });
  t.deepEqual(sent, [2, 100]);
  t.is(runtime.clock.pendingTimers, 0);
});

test('one without patience takes along those that wait', async (t) => {
  const { runtime, sent, ask } = asking();
  const asked = [ask('a', { patienceMs: 100 }), ask('b', { patienceMs: 100 }), ask('c')];
  await runtime.clock.settle(Promise.all(asked), { withinMs: 0 });
  t.deepEqual(sent, [3]);
  t.is(runtime.clock.pendingTimers, 0);
});

test('an answer is as old as the sending, not as the asking', async (t) => {
  const { runtime, ask } = asking({ latencyMs: 30 });
  const begunMs = runtime.clock.now().monotonicMs;
  const { askedAt } = await runtime.clock.settle(ask('a', { patienceMs: 100 }));
  t.is(askedAt.monotonicMs - begunMs, 100);
});

test('few calls are under way at a time, and a timeout begins with the sending', async (t) => {
  const { runtime, sent, prove } = asking({ latencyMs: 400 });
  const asked = keys(3_000).map((key) => prove(key));
  await runtime.clock.advance(10);
  t.is(sent.length, 16);
  await runtime.clock.settle(Promise.all(asked));
  t.is(sent.length, 30);
});

test('a question that is refused fails alone', async (t) => {
  const { runtime, cluster, store, sent, prove } = asking();
  for (const key of keys(100)) cluster.put(key, key);
  const denied = new StoreError('denied', 'permanent', 'no');
  store.faults.onRequest((call) => {
    const isRefused =
      call.method === 'range'
        ? 'key' in call.range && call.range.key === 'k37'
        : call.method === 'transact' && call.transaction.then.some((range) => 'key' in range && range.key === 'k37');
    return isRefused ? { refuseWith: denied } : undefined;
  });
  const answers = await runtime.clock.settle(Promise.allSettled(keys(100).map((key) => prove(key))));
  for (const [index, answer] of answers.entries()) t.is(answer.status, index === 37 ? 'rejected' : 'fulfilled');
  t.true(answers[37]?.status === 'rejected' && answers[37].reason === denied);
  t.true(sent.length <= 15);
});

test('no answer is everybody’s failure, and not asked again', async (t) => {
  const { runtime, store, sent, ask } = asking();
  store.faults.onRequest(() => 'drop');
  sent.length = 0;
  const answers = await runtime.clock.settle(Promise.allSettled(keys(3).map((key) => ask(key))));
  for (const answer of answers) t.is(reasonOf(answer), 'timeout');
  store.faults.heal();
  t.is(runtime.clock.pendingTimers, 0);
});

test('who gives up is not asked for, and a call for which nobody waits ends', async (t) => {
  const { runtime, store, sent, ask } = asking();
  const leaving = new AbortController();
  const gone = ask('a', { patienceMs: 100, signal: leaving.signal });
  leaving.abort(new Error('no longer'));
  await t.throwsAsync(gone, { instanceOf: StoreError });
  t.is(runtime.clock.pendingTimers, 0);
  await runtime.clock.advance(200);
  t.deepEqual(sent, []);

  store.faults.onRequest(() => 'drop');
  const both = [new AbortController(), new AbortController()] as const;
  const asked = both.map(({ signal }, index) => ask(`k${index}`, { signal }));
  const settled = Promise.allSettled(asked);
  await runtime.clock.advance(10);
  both[0].abort();
  t.is(runtime.clock.pendingTimers, 1, 'the other one waits on');
  both[1].abort();
  for (const { status } of await settled) t.is(status, 'rejected');
  t.is(runtime.clock.pendingTimers, 0);
  await t.throwsAsync(ask('a', { signal: AbortSignal.abort() }), { instanceOf: StoreError });
});

test('questions about the past go alone, since one compaction would fail them all', async (t) => {
  const { runtime, cluster, questions, sent } = asking();
  for (const value of ['1', '2', '3']) cluster.put('a', value);
  const { revision } = cluster;
  cluster.compact(revision - 1n);
  const at = (asked: bigint) => questions.ask({ key: 'a', revision: asked }, { timeoutMs: 1_000 });
  const [gone, there] = await runtime.clock.settle(Promise.allSettled([at(revision - 2n), at(revision - 1n)]));
  t.is(reasonOf(gone), 'compacted');
  t.is(there.status === 'fulfilled' ? there.value.entries[0]?.value : undefined, '2');
  t.deepEqual(sent, [1, 1]);
});

test('a prefix is asked for as ever', async (t) => {
  const { runtime, cluster, questions, sent } = asking();
  cluster.put('p/a', '1');
  cluster.put('p/b', '1');
  const answer = await runtime.clock.settle(questions.ask({ prefix: 'p/' }, { timeoutMs: 1_000, patienceMs: 100 }));
  t.is(answer.count, 2);
  t.deepEqual(sent, [1]);
});
