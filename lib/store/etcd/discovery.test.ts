import test, { type ExecutionContext } from 'ava';
import { testRuntime, type TestRuntime } from '../../testing/test-runtime.ts';
import { StoreError } from '../store-error.ts';
import { Discovery, inOrder, type Known, type Source } from './discovery.ts';
import { parseEndpoint, type Endpoint } from './endpoints.ts';

const at = (host: string): Endpoint => parseEndpoint(`http://${host}`);
const everyMs = 60_000;

/** Records what the three lists of a store would be told. */
class Follower {
  readonly lists: string[][] = [];
  readonly lacks: string[] = [];

  update(endpoints: readonly Endpoint[]): void {
    this.lists.push(endpoints.map(({ host }) => host));
  }

  lack(missing: string): void {
    this.lacks.push(missing);
  }
}

/** A member list whose answers the test gives. */
class Answers implements Source {
  readonly name = 'the member list';
  asked = 0;
  answer: () => Promise<Pick<Known, 'members'>>;

  constructor(...hosts: readonly string[]) {
    this.answer = () => Promise.resolve({ members: hosts.map(at) });
  }

  ask(): Promise<Pick<Known, 'members'>> {
    this.asked += 1;
    return this.answer();
  }
}

const refusal = new StoreError('denied', 'permanent', 'permission denied');

function following(runtime: TestRuntime, source: Source, configured: readonly string[] = ['static']) {
  const follower = new Follower();
  const discovery = new Discovery(runtime, [follower], configured.map(at), [source], { everyMs });
  return { follower, discovery };
}

async function closesClean(t: ExecutionContext, { clock }: TestRuntime, discovery: Discovery): Promise<void> {
  discovery.close();
  await clock.flush();
  t.is(clock.pendingTimers, 0);
}

test('nothing is asked before the start, and a start after the end starts nothing', async (t) => {
  const runtime = testRuntime();
  const source = new Answers('a');
  const { discovery } = following(runtime, source);
  await runtime.clock.advance(everyMs);
  t.is(source.asked, 0);
  await closesClean(t, runtime, discovery);
  discovery.start();
  await runtime.clock.advance(everyMs);
  t.is(source.asked, 0);
});

test('after an answer it is asked again once in everyMs, give or take a tenth, and an equal answer changes nothing', async (t) => {
  const runtime = testRuntime();
  const source = new Answers('a', 'b');
  const { discovery, follower } = following(runtime, source);
  discovery.start();
  discovery.start();
  await runtime.clock.advance(0.89 * everyMs);
  t.is(source.asked, 1);
  await runtime.clock.advance(0.22 * everyMs);
  t.is(source.asked, 2);
  source.answer = () => Promise.resolve({ members: [at('b'), at('a')] });
  await runtime.clock.advance(100 * everyMs);
  t.true(source.asked > 90 && source.asked < 115, String(source.asked));
  t.is(follower.lists.length, 1);
  t.is(runtime.logger.of('store.endpoints').length, 1);
  source.answer = () => Promise.resolve({ members: [at('c')] });
  await runtime.clock.advance(1.2 * everyMs);
  t.deepEqual(follower.lists.at(-1), ['c', 'static']);
  await closesClean(t, runtime, discovery);
});

test('a failure takes nothing away, is told once, and is tried again much sooner', async (t) => {
  const runtime = testRuntime();
  const source = new Answers('a');
  const { discovery, follower } = following(runtime, source);
  discovery.start();
  await runtime.clock.flush();
  let count = 0;
  source.answer = () => Promise.reject(new StoreError('unreachable', 'transient', `member ${count++} is away`));
  await runtime.clock.advance(10 * everyMs);
  t.true(source.asked > 60, String(source.asked));
  t.deepEqual(follower.lists, [['a', 'static']]);
  t.is(runtime.logger.of('store.undiscovered').length, 1);
  source.answer = () => Promise.resolve({ members: [at('b')] });
  await runtime.clock.advance(10_000);
  t.deepEqual(follower.lists.at(-1), ['b', 'static']);
  await closesClean(t, runtime, discovery);
});

test('what is refused for good is told once, and asked no more often than what is answered', async (t) => {
  const runtime = testRuntime();
  const source = new Answers();
  source.answer = () => Promise.reject(refusal);
  const { discovery, follower } = following(runtime, source);
  discovery.start();
  await runtime.clock.advance(10.5 * everyMs);
  t.true(source.asked <= 12, String(source.asked));
  t.deepEqual(follower.lists, []);
  t.is(runtime.logger.of('store.undiscovered').length, 1);
  await closesClean(t, runtime, discovery);
});

test('a source that does not answer has a deadline, and whoever waits for a first list is told why there is none', async (t) => {
  const runtime = testRuntime();
  const source = new Answers();
  source.answer = () => new Promise(() => {});
  const { discovery, follower } = following(runtime, source, []);
  discovery.start();
  await runtime.clock.advance(5_000);
  t.deepEqual(follower.lacks, ['the member list (not done within 5000 ms)']);
  source.answer = () => Promise.resolve({ members: [at('a')] });
  await runtime.clock.advance(1_000);
  t.deepEqual(follower.lists, [['a']]);
  await closesClean(t, runtime, discovery);
});

test('an answer that comes after the end is ignored', async (t) => {
  const runtime = testRuntime();
  const source = new Answers();
  let answer: (found: Pick<Known, 'members'>) => void = () => {};
  source.answer = () => new Promise((resolve) => (answer = resolve));
  const { discovery, follower } = following(runtime, source);
  discovery.start();
  await closesClean(t, runtime, discovery);
  answer({ members: [at('late')] });
  await runtime.clock.flush();
  t.deepEqual(follower.lists, []);
  t.deepEqual(runtime.logger.lines, []);
});

test('members come first, then what DNS names by its priorities, then what was configured, each once', (t) => {
  const { random } = testRuntime();
  const srv = [
    { endpoint: at('dns-late'), priority: 2, weight: 0 },
    { endpoint: at('dns'), priority: 1, weight: 0 },
    { endpoint: at('b'), priority: 0, weight: 0 },
  ];
  const known: Known = { configured: [at('a'), at('balancer')], srv, members: [at('a'), at('b')] };
  for (let draw = 0; draw < 20; draw += 1) {
    const hosts = inOrder(known, random).map(({ host }) => host);
    t.deepEqual([...hosts.slice(0, 2).toSorted(), ...hosts.slice(2)], ['a', 'b', 'dns', 'dns-late', 'balancer']);
  }
});
