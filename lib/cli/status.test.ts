import test from 'ava';
import type { CompleteOptions } from '../coordinator-options.ts';
import type { Coordinator } from '../coordinator.ts';
import type { Clock } from '../runtime/clock.ts';
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

/** One that somebody stops where they please. */
function scene({ watch, stopIn }: { readonly watch: boolean; readonly stopIn: 'contact' | 'look' | 'pause' }) {
  const stopping = new AbortController();
  const { signal } = stopping;
  const stopped = (where: typeof stopIn): void => {
    if (where !== stopIn) return;
    stopping.abort(new Error('stopped'));
    signal.throwIfAborted();
  };
  const coordinator = {
    ready: async () => stopped('contact'),
    survey: async () => {
      stopped('look');
      return nothing;
    },
  };
  const clock = {
    now: () => ({ wallMs: 0 }),
    schedule: (_: number, act: () => void) => {
      if (stopIn === 'pause') queueMicrotask(() => stopping.abort(new Error('stopped')));
      else queueMicrotask(act);
      return () => {};
    },
  };
  const call = {
    clock: clock as unknown as Clock,
    signal,
    options: { flag: (name: string) => name === 'watch' && watch },
    output: new Output({ out: { write: () => {} }, err: { write: () => {} }, isColoured: false, isJson: false }),
    settings: () => ({ endpoints: [], keyspace: { namespace: 'test' } }) as unknown as CompleteOptions,
    coordinator: () => coordinator as unknown as Coordinator,
  };
  return { signal, run: () => status.run(call as unknown as Call) };
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
