import type { JobReport } from '../../schedule/roster.ts';
import { client } from '../client.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { oneLine, showInstant } from '../output.ts';

export const scheduleList: Command = {
  name: 'schedule list',
  summary: 'Prints the jobs of the namespace',
  usage: '',
  details: [
    'Their leaders, how many processes have each, whether they are paused, and the last tick that was started or recorded as missed.',
    'A job that no process has any more stays in the list, without a leader.',
  ].join('\n'),
  examples: ['holdfast schedule list', `holdfast schedule list --json | jq -r 'select(.leader == null) | .name'`],
  takes: { least: 0, most: 0 },
  run: async (call) => {
    const { output, signal } = call;
    const reports = await client(call).jobs({ signal });
    if (output.isJson) for (const report of reports) output.json({ ...report, leader: report.leader ?? null });
    else if (reports.length > 0) output.table(['NAME', 'LEADER', 'PROCESSES', 'PAUSED', 'LAST TICK'], reports.map(row));
    return EXIT.ok;
  },
};

function row({ name, leader, candidates, paused, settledUntil }: JobReport): readonly string[] {
  return [
    oneLine(name),
    oneLine(leader ?? (candidates > 0 ? '?' : '-')),
    String(candidates),
    paused === undefined ? '-' : `${showInstant(paused.since)}${paused.by === '' ? '' : ` by ${oneLine(paused.by)}`}`,
    settledUntil === undefined ? '-' : showInstant(settledUntil),
  ];
}
