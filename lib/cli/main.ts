#!/usr/bin/env node
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
  signal: stop.signal,
});
