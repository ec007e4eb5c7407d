import { Duplex } from 'node:stream';
import type { Metadata } from '@grpc/grpc-js';
import test from 'ava';
import type { IWatchRequest } from 'etcd3';
import { VirtualClock } from '../../testing/virtual-clock.ts';
import type { WatchBatch } from '../store.ts';
import { Authentication } from './authentication.ts';
import { parseEndpoint } from './endpoints.ts';
import type { GrpcLine } from './grpc-line.ts';
import { Members } from './members.ts';
import { OpenCalls } from './open-calls.ts';
import { reach, type Reached } from './reach.ts';
import { Watches } from './watches.ts';

/** A stream that accepts every watch at once, or says nothing. */
class WatchingStream extends Duplex {
  readonly #accepts: boolean;

  constructor(accepts: boolean) {
    super({ objectMode: true });
    this.#accepts = accepts;
  }

  override _read(): void {}

  override _write({ create_request }: IWatchRequest, _: string, done: () => void): void {
    if (this.#accepts && create_request !== undefined) {
      const header = { cluster_id: '1', member_id: '1', revision: '7', raft_term: '1' };
      this.push({ header, watch_id: create_request.watch_id, created: true, canceled: false, events: [] });
    }
    done();
  }

  cancel(): void {
    this.destroy();
  }
}

interface Server {
  /** Whether it can be connected to. */
  readonly state?: 'up' | 'connecting';
  /** The token that it gives next; none: it does not answer who asks for one. */
  token?: string;
  /** With which token a watch is accepted. */
  readonly acceptedToken?: string;
}

/** The watches of a user, over a connection to a server that answers as little as it says. */
function watches(server: Server) {
  const clock = new VirtualClock();
  const { state = 'up' } = server;
  const never = new Promise<never>(() => {});
  const streams: WatchingStream[] = [];
  const line = {
    isUp: state === 'up',
    connectingMs: 0,
    connect: () => state,
    changed: () => never,
    unary: () => ({
      answer: server.token === undefined ? never : Promise.resolve({ response: { token: server.token } }),
      cancel: () => {},
    }),
    stream: async (_: string, metadata: Metadata) => {
      const stream = new WatchingStream(metadata.get('token')[0] === server.acceptedToken);
      streams.push(stream);
      return stream;
    },
    hangUp: () => {},
  };
  const open = new OpenCalls(clock);
  const members = new Members([parseEndpoint('http://etcd:2379')], () => line as unknown as GrpcLine);
  const authentication = new Authentication(open, { username: 'app', password: 'password' });
  const all = new Watches(open, members, authentication);
  return {
    clock,
    streams,
    authentication,
    watch: () => {
      const watch = all.watch({ span: { key: 'a' }, fromRevision: 1n }, new AbortController().signal);
      return watch[Symbol.asyncIterator]() as AsyncIterator<WatchBatch, undefined>;
    },
    /** As a call begins. */
    reach: (): Promise<Reached<GrpcLine>> =>
      open.run('read', 'range', { timeoutMs: 1_000 }, (bounds) => reach(members, authentication, bounds)),
  };
}

/** How a watch began, or why it ended, and when. */
async function beginningOf({ watch, clock }: ReturnType<typeof watches>): Promise<string> {
  const said = await clock.settle(watch().next()).then(
    ({ value }) => `accepted at ${value?.revision}`,
    (error: unknown) => (error as Error).message,
  );
  return `${clock.elapsedMs}: ${said}`;
}

test('a watch that is not accepted says that no answer came, since it never waits for a turn', async (t) => {
  t.is(
    await beginningOf(watches({ token: 'old', acceptedToken: 'new' })),
    '15000: watch waited 15000 ms for an answer from http://etcd:2379',
  );
});

test('a watch for which there is no stream says what that was waiting for: the connection, or a token', async (t) => {
  t.is(
    await beginningOf(watches({ state: 'connecting' })),
    '5000: watch waited 5000 ms for a connection to http://etcd:2379',
  );
  t.is(await beginningOf(watches({})), '5000: watch waited 5000 ms for an answer from http://etcd:2379');
});

test('watches that wait for an old token to be good again go on with a new one as soon as a call has it', async (t) => {
  const server: Server = { token: 'old', acceptedToken: 'new' };
  const { clock, streams, authentication, watch, reach: call } = watches(server);
  const waiting = [watch(), watch()].map((each) => each.next());
  await clock.advance(2_000);
  t.is(streams.length, 1);
  /* As a call says it that was not answered on a connection made anew. */
  authentication.doubt();
  authentication.unanswered((await clock.settle(call())).credentials);
  await clock.advance(1_000);
  t.is(streams.length, 1, 'no stream asks by itself');
  server.token = 'new';
  await clock.settle(call());
  for (const { value } of await clock.settle(Promise.all(waiting))) t.is(value?.revision, 7n);
  t.is(clock.elapsedMs, 3_000);
  t.is(streams.length, 2);
  t.true(streams[0]?.destroyed);
  t.is(clock.pendingTimers, 0);
});

test('a watch that was accepted stays where it is, whatever token comes, and one that was left is not begun again', async (t) => {
  const server: Server = { token: 'old', acceptedToken: 'old' };
  const { clock, streams, authentication, watch, reach: call } = watches(server);
  await clock.settle(watch().next());
  const left = watch();
  void left.next();
  await left.return?.();
  authentication.discard((await clock.settle(call())).credentials);
  server.token = 'new';
  await clock.settle(call());
  await clock.advance(1_000);
  t.is(streams.length, 1);
  t.false(streams[0]?.destroyed);
  t.is(clock.pendingTimers, 0);
});
