import { each, type Stage } from './stage.ts';

/** How often each worker then reads it. */
const READS = 200_000;

export async function configIsChanged({ journal, crew, limits, calls }: Stage): Promise<void> {
  journal.add({ type: 'act', act: 4, title: 'A setting is changed, and nobody is restarted' });
  const from = journal.end;
  const value = { perMinute: 600 };
  const before = calls();
  journal.add({ type: 'set', version: 2, value });
  await limits.set(value, { ifVersion: 1 });
  await each(crew.names, (name) => journal.first('serves', from, (serves) => serves.worker === name));

  crew.tellAll({ do: 'read', times: READS });
  await each(crew.names, (name) => journal.first('read', from, (read) => read.worker === name));
  journal.add({ type: 'calls', calls: calls() - before });
}
