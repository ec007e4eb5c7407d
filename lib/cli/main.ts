#!/usr/bin/env node
import { addAbortSignal } from 'node:stream';
import { text } from 'node:stream/consumers';
import { commands } from './commands.ts';
import { run } from './run.ts';

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => stop.abort(new Error(`ended by ${signal}`)));
}
/* Who reads our output may have seen enough: head, say. */
process.stdout.on('error', () => stop.abort(new Error('nobody reads the output any more')));

process.exitCode = await run(commands, {
  words: process.argv.slice(2),
  environment: process.env,
  out: process.stdout,
  err: process.stderr,
  input: async () => {
    try {
      return await text(addAbortSignal(stop.signal, process.stdin));
    } catch (error) {
      stop.signal.throwIfAborted();
      throw error;
    }
  },
  signal: stop.signal,
});
