import type { JobRecord } from '../../schedule/record.ts';
import { client } from '../client.ts';
import { NothingThereError, type Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { oneLine, showDuration, showInstant } from '../output.ts';

export const scheduleHistory: Command = {
  name: 'schedule history',
  summary: 'Prints what became of the ticks of a job, the newest first',
  usage: 'NAME [--limit N]',
  details: 'Whoever ran them. A tick without a time is under way, or its process is gone and no leader has come since.',
  options: { limit: { type: 'number', value: 'N', help: 'at most so many, 1 to 1000 (20)' } },
  examples: ['holdfast schedule history nightly-report --limit 5'],
  takes: { least: 1, most: 1 },
  run: async (call) => {
    const { args, options, output, signal } = call;
    const [name = ''] = args;
    const records = await client(call)
      .jobControls(name)
      .history({ limit: options.number('limit'), signal });
    if (records.length === 0) {
      throw new NothingThereError(
        `There is no record of a schedule ${JSON.stringify(name)}: nobody has started it yet.`,
      );
    }
    if (output.isJson) for (const record of records) output.json({ name, ...record });
    else output.table(['TICK', 'STATE', 'ATTEMPT', 'TRIGGER', 'INSTANCE', 'TOOK', 'ERROR'], records.map(row));
    return EXIT.ok;
  },
};

function row(record: JobRecord): readonly string[] {
  const { state, scheduledFor, instanceId } = record;
  const tick = showInstant(scheduledFor);
  if (record.state === 'missed') {
    return [tick, state, '-', '-', oneLine(instanceId), '-', `${record.count} until ${showInstant(record.until)}`];
  }
  const { attempt, trigger, durationMs, error } = record;
  const took = durationMs === undefined ? '-' : showDuration(durationMs);
  return [tick, state, String(attempt), trigger, oneLine(instanceId), took, oneLine(error ?? '-')];
}
