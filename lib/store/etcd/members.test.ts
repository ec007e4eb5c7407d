import { Metadata } from '@grpc/grpc-js';
import test from 'ava';
import { testRuntime } from '../../testing/test-runtime.ts';
import { VirtualClock } from '../../testing/virtual-clock.ts';
import { StoreError } from '../store-error.ts';
import { Authentication } from './authentication.ts';
import { parseEndpoint, parseEndpoints, type Endpoint } from './endpoints.ts';
import type { Line, UnaryCall } from './line.ts';
import { Members } from './members.ts';
import { OpenCalls } from './open-calls.ts';
import { reach } from './reach.ts';

/** A connection that is as the test says, and remembers what became of it. */
class FakeLine implements Line {
  readonly endpoint: Endpoint;
  readonly connectingMs = 0;
  isUp = true;
  isHungUp = false;
  answer: (status: { readonly code: number; readonly details: string }) => void = () => {};

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint;
    this.isUp = !endpoint.host.startsWith('down');
  }

  connect(): 'up' | 'down' {
    return this.isUp ? 'up' : 'down';
  }

  changed(): Promise<void> {
    return new Promise(() => {});
  }

  explain(): Promise<StoreError> {
    return Promise.resolve(new StoreError('unreachable', 'transient', `down: ${this.endpoint.host}`));
  }

  unary<Response>(): UnaryCall<Response> {
    const answer = new Promise<never>((_, reject) => {
      this.answer = reject;
    });
    return { answer, cancel: () => {} };
  }

  hangUp(): void {
    this.isHungUp = true;
  }
}

function members(...hosts: readonly string[]): { readonly members: Members<FakeLine>; readonly lines: FakeLine[] } {
  const lines: FakeLine[] = [];
  const endpoints = hosts.map((host) => parseEndpoint(`http://${host}`));
  const open = (endpoint: Endpoint): FakeLine => {
    const line = new FakeLine(endpoint);
    lines.push(line);
    return line;
  };
  return { members: new Members(endpoints, open), lines };
}

const to = (...hosts: readonly string[]): readonly Endpoint[] => parseEndpoints(hosts.map((host) => `http://${host}`));

const hostsOf = (list: Members<FakeLine>): string[] => list.untried([]).map(({ endpoint }) => endpoint.host);

const nobody = { token: undefined, metadata: new Metadata() };

/** Who is reached, on a clock of its own, or how that failed. */
async function reached(list: Members<FakeLine>, clock = new VirtualClock()): Promise<string> {
  const open = new OpenCalls(clock);
  const found = open.run('read', 'range', { timeoutMs: 1_000 }, (bounds) =>
    reach(list, new Authentication(open, undefined), bounds),
  );
  try {
    return (await clock.settle(found)).connection.endpoint.host;
  } catch (error) {
    return (error as StoreError).message;
  }
}

test('who stays in the list keeps the connection and stays in use, wherever the new list puts it', async (t) => {
  const { members: list, lines } = members('a', 'b', 'c');
  list.suspect(list.current!);
  const { current } = list;
  t.is(await reached(list), 'b');
  list.update(to('d', 'c', 'b'));
  t.is(list.current, current);
  t.deepEqual(hostsOf(list), ['b', 'd', 'c']);
  t.is(await reached(list), 'b');
  t.deepEqual(
    lines.map(({ endpoint, isHungUp }) => [endpoint.host, isHungUp]),
    [['b', false]],
  );
});

test('who is gone from the list is hung up on, and the next call goes to the first of the new one', async (t) => {
  const { members: list, lines } = members('a');
  t.is(await reached(list), 'a');
  const gone = list.current!;
  list.update(to('b', 'c'));
  t.true(lines[0]?.isHungUp);
  t.false(gone.isUp);
  t.throws(() => gone.line, { message: /a:2379 is no longer an endpoint/ });
  t.is(await reached(list), 'b');
  list.suspect(gone);
  t.is(list.current?.endpoint.host, 'b', 'a late suspicion of who is gone moves nobody');
});

test('a call under way to who is gone may still be answered; then the connection ends', async (t) => {
  const { members: list, lines } = members('a');
  await reached(list);
  const gone = list.current!;
  const [line] = lines as [FakeLine];
  const { answer } = gone.unary('status', {}, nobody, 1_000);
  list.update(to('b'));
  t.false(line.isHungUp);
  line.answer({ code: 14, details: 'broke' });
  await t.throwsAsync(answer, { any: true });
  await Promise.resolve();
  t.true(line.isHungUp);
});

test('each known member is tried once, those included that the list gets in the meantime', async (t) => {
  const { members: list } = members('down-a', 'down-b');
  t.is(await reached(list), 'down: down-b');
  const clock = new VirtualClock();
  const trying = reached(list, clock);
  list.update(to('down-b', 'c', 'down-d'));
  t.is(await trying, 'c');
  t.is(await reached(list), 'c');
});

test('where nobody is known a call waits for the first list, within its own time', async (t) => {
  const clock = new VirtualClock();
  const { members: list } = members();
  clock.schedule(400, () => list.update(to('a')));
  t.is(await reached(list, clock), 'a');
  t.is(clock.elapsedMs, 400);

  const { members: never } = members();
  const patient = reached(never, clock);
  never.lack('DNS (it said no)');
  t.is(await patient, 'range waited 1000 ms for DNS (it said no)');
  t.is(clock.pendingTimers, 0);
});

test('closing closes whoever is in the list, for good', async (t) => {
  const { members: list, lines } = members('a', 'b');
  await reached(list);
  list.close();
  t.true(lines[0]?.isHungUp);
  t.is(await reached(list, testRuntime().clock), 'The store was closed');
});
