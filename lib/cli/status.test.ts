import test from 'ava';
import type { CompleteOptions } from '../coordinator-options.ts';
import type { Coordinator } from '../coordinator.ts';
import { CoordinationUnavailableError } from '../errors.ts';
import type { Survey } from '../survey/survey.ts';
import type { Call } from './command.ts';
import { EXIT } from './exit-codes.ts';
import { Output } from './output.ts';
import { status } from './status.ts';

const nothing: Survey = {
  revision: 1n,
  epoch: 0,
  sessions: [],
  queues: [],
  registries: [],
  configs: [],
  jobs: [],
  incomplete: [],
};

interface Scene {
  readonly watch: boolean;
  /** Where somebody stops it. */
  readonly stopIn?: 'contact' | 'look' | 'pause' | 'third look' | undefined;
  /** The look in which etcd is away. */
  readonly awayIn?: number | undefined;
  readonly isJson?: boolean | undefined;
}

function scene({ watch, stopIn, awayIn, isJson = false }: Scene) {
  const stopping = new AbortController();
  const { signal } = stopping;
  const stopped = (where: Scene['stopIn']): void => {
    if (where !== stopIn) return;
    stopping.abort(new Error('stopped'));
    signal.throwIfAborted();
  };
  let looks = 0;
  let nowMs = 0;
  let out = '';
  const coordinator = {
    ready: async () => stopped('contact'),
    survey: async () => {
      looks += 1;
      stopped('look');
      if (looks === 3) stopped('third look');
      if (looks !== awayIn) return nothing;
      nowMs += 4_000;
      throw new CoordinationUnavailableError('nobody answers');
    },
  };
  const clock = {
    now: () => ({ monotonicMs: nowMs, wallMs: nowMs }),
    schedule: (delayMs: number, act: () => void) => {
      nowMs += delayMs;
      if (stopIn === 'pause') queueMicrotask(() => stopping.abort(new Error('stopped')));
      else queueMicrotask(act);
      return () => {};
    },
  };
  const write = (text: string): void => {
    out += text;
  };
  const call = {
    clock,
    signal,
    options: { flag: (name: string) => name === 'watch' && watch },
    output: new Output({ out: { write }, err: { write }, isColoured: false, isJson }),
    settings: () => ({ endpoints: [], keyspace: { namespace: 'test' } }) as unknown as CompleteOptions,
    coordinator: () => coordinator as unknown as Coordinator,
  };
  return { signal, run: () => status.run(call as unknown as Call), out: () => out };
}

for (const stopIn of ['contact', 'look', 'pause'] as const) {
  test(`status --watch that is stopped in its ${stopIn} has come to its proper end`, async (t) => {
    t.is(await scene({ watch: true, stopIn }).run(), EXIT.ok);
  });
}

for (const stopIn of ['contact', 'look'] as const) {
  test(`status that is stopped in its ${stopIn} has not done what it was asked for`, async (t) => {
    const { signal, run } = scene({ watch: false, stopIn });
    t.is(await t.throwsAsync(run()), signal.reason);
  });
}

test('status --watch goes on through an outage: what was seen last stays, with its age, and so it does for programs', async (t) => {
  for (const isJson of [false, true]) {
    const { run, out } = scene({ watch: true, stopIn: 'third look', awayIn: 2, isJson });
    t.is(await run(), EXIT.ok);
    if (isJson) {
      const [first, second, ...more] = out()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object);
      t.like(first, { revision: '1', members: [] });
      t.deepEqual(second, { outage: 'nobody answers', members: [] });
      t.deepEqual(more, []);
    } else {
      t.regex(
        out(),
        /^\nnamespace test, revision 1[^]*\nnobody answers\nSo it was 5s ago:\nnamespace test, revision 1/,
      );
    }
  }
});

test('status ends where etcd does not answer', async (t) => {
  await t.throwsAsync(scene({ watch: false, awayIn: 1 }).run(), { instanceOf: CoordinationUnavailableError });
});
