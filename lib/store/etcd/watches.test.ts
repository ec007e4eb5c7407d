import { Duplex } from 'node:stream';
import test from 'ava';
import { VirtualClock } from '../../testing/virtual-clock.ts';
import { Authentication, type AuthOptions } from './authentication.ts';
import { parseEndpoint } from './endpoints.ts';
import type { GrpcLine } from './grpc-line.ts';
import { Members } from './members.ts';
import { OpenCalls } from './open-calls.ts';
import { Watches } from './watches.ts';

/** A stream that takes everything and says nothing. */
class SilentStream extends Duplex {
  override _read(): void {}

  override _write(_: unknown, __: string, done: () => void): void {
    done();
  }

  cancel(): void {
    this.destroy();
  }
}

/** Watches over a connection that stays up or never comes up, and at which nothing is answered. */
function watches(
  state: 'up' | 'connecting',
  auth?: AuthOptions,
): { readonly all: Watches; readonly clock: VirtualClock } {
  const clock = new VirtualClock();
  const line = {
    isUp: state === 'up',
    connectingMs: 0,
    connect: () => state,
    changed: () => new Promise(() => {}),
    unary: () => ({ answer: new Promise(() => {}), cancel: () => {} }),
    stream: async () => new SilentStream({ objectMode: true }),
    hangUp: () => {},
  };
  const open = new OpenCalls(clock);
  const members = new Members([parseEndpoint('http://etcd:2379')], () => line as unknown as GrpcLine);
  return { all: new Watches(open, members, new Authentication(open, auth)), clock };
}

/** Why a watch that is never accepted ended, and when. */
async function endOf({ all, clock }: ReturnType<typeof watches>): Promise<string> {
  const batches = all.watch({ span: { key: 'a' }, fromRevision: 1n }, new AbortController().signal);
  const first = batches[Symbol.asyncIterator]().next();
  const message = await clock.settle(first).then(
    () => 'accepted',
    (error: unknown) => (error as Error).message,
  );
  return `${clock.elapsedMs}: ${message}`;
}

test('a watch that is not accepted says that no answer came, since it never waits for a turn', async (t) => {
  t.is(await endOf(watches('up')), '15000: watch waited 15000 ms for an answer from http://etcd:2379');
});

test('a watch for which there is no stream says what it was not there for: the connection, or a token', async (t) => {
  t.is(await endOf(watches('connecting')), '5000: watch waited 5000 ms for a connection to http://etcd:2379');
  const auth = { username: 'app', password: 'password' };
  t.regex(await endOf(watches('up', auth)), /^5000: .* waited 5000 ms for an answer from http:\/\/etcd:2379$/);
});
