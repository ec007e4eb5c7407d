import { sleep } from '../../runtime/clock.ts';
import { each, type Stage } from './stage.ts';

/** How often each worker is asked to read its config, and how many times it then does. */
const EVERY_MS = 1_000;
const READS = 10_000;

export async function etcdIsAway(stage: Stage): Promise<void> {
  const { journal, crew, network } = stage;
  journal.add({ type: 'act', act: 3, title: 'etcd goes away, and comes back' });
  const began = journal.end;
  crew.tellAll({ do: 'hold' });
  await each(crew.names, (name) => journal.first('holds', began, (holds) => holds.worker === name));
  await read(stage);

  const cutAt = journal.end;
  journal.add({ type: 'cut' });
  network.blackhole();
  const over = new AbortController();
  const reading = readAlways(stage, AbortSignal.any([stage.signal, over.signal]));
  reading.catch(() => {});
  try {
    await each(crew.names, (name) => journal.first('asked', cutAt, (asked) => asked.worker === name));
    await each(crew.names, (name) => journal.first('lease-ended', cutAt, (ended) => ended.worker === name));
  } finally {
    over.abort();
    await reading;
  }
  await read(stage);

  const healedAt = journal.end;
  journal.add({ type: 'healed' });
  network.heal();
  await each(crew.names, (name) => journal.first('holds', healedAt, (holds) => holds.worker === name));
  while (!(await read(stage)).every((source) => source === 'live')) await sleep(stage.clock, EVERY_MS, stage.signal);
}

/** Has every worker read, and resolves to how what they read is known. */
async function read({ journal, crew }: Stage): Promise<readonly (string | undefined)[]> {
  const from = journal.end;
  crew.tellAll({ do: 'read', times: READS });
  return each(crew.names, async (name) => {
    const { source } = await journal.first('read', from, (read) => read.worker === name);
    return source;
  });
}

async function readAlways(stage: Stage, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sleep(stage.clock, EVERY_MS, signal).catch(() => {});
    if (!signal.aborted) await read(stage);
  }
}
