import type { Contender, SharedHolder } from '../queue/inspect.ts';
import { sleep } from '../runtime/clock.ts';
import type { Survey, SurveyedConfig, SurveyedQueue } from '../survey/survey.ts';
import { client, untilStopped } from './client.ts';
import type { Call, Command } from './command.ts';
import { EXIT } from './exit-codes.ts';
import { Members, type MemberReport } from './members.ts';
import { oneLine, showDuration, showSize, type Output } from './output.ts';

/** How often `--watch` looks, in milliseconds: one transaction each. */
const LOOK_MS = 1_000;

/** For a member of etcd to say how it is, where --timeout says nothing. */
const MEMBER_MS = 2_000;

/** Of those who wait, so many are named. */
const NAMED = 3;

export const status: Command = {
  name: 'status',
  summary: 'Shows who holds what, who waits, who leads, who is there, how far configs have come, and how etcd is',
  usage: '[--watch]',
  details:
    'Everything is of one revision of etcd, read through raft: not stale. How long somebody has had something, or waited for it, ' +
    'is told by the clock of whoever asked for it.',
  options: { watch: { type: 'flag', help: 'look again every second' } },
  examples: ['holdfast status', 'holdfast status --watch', 'holdfast status --json | jq .queues'],
  takes: { least: 0, most: 0 },
  run: async (call) => {
    const { clock, options, output, signal, timeoutMs } = call;
    const coordinator = client(call);
    const settings = call.settings();
    const isWatched = options.flag('watch');
    await using etcd = new Members(settings);
    const look = async (): Promise<void> => {
      const [survey, members] = await Promise.all([
        coordinator.survey({ signal }),
        etcd.ask(timeoutMs ?? MEMBER_MS, signal),
      ]);
      /* Who was not waited for has not been silent. */
      signal.throwIfAborted();
      if (output.isJson) return output.json({ ...survey, members });
      if (isWatched) output.clear();
      show(survey, settings.keyspace.namespace, call);
      showMembers(members, output);
    };
    const begin = async (): Promise<void> => {
      await coordinator.ready({ timeoutMs, signal });
      await look();
    };
    if (isWatched) {
      return await untilStopped(call, async () => {
        for (await begin(); ; await look()) await sleep(clock, LOOK_MS, signal);
      });
    }
    await begin();
    return EXIT.ok;
  },
};

function show(
  { revision, epoch, sessions, queues, registries, configs, jobs, incomplete }: Survey,
  namespace: string,
  { output, clock }: Call,
): void {
  const { wallMs } = clock.now();
  /* Our own session is one of them, and holds nothing. */
  output.line(`namespace ${namespace}, revision ${revision}, epoch ${epoch}, ${counted(sessions.length, 'session')}`);
  if (incomplete.length > 0)
    output.line(output.styled('yellow', `there is more than is shown of: ${incomplete.join(', ')}`));
  /* Most often it is another namespace that was meant. */
  if ([queues, registries, configs, jobs].every(({ length }) => length === 0)) {
    output.line('Nothing is held or waited for here, and there is no registry, config or schedule.');
  }
  table(
    output,
    ['WHAT', 'NAME', 'HOLDER', 'FOR', 'TOKEN', 'WAITING'],
    queues.flatMap((queue) => rowsOf(queue, wallMs)),
  );
  table(
    output,
    ['REGISTRY', 'MEMBER', 'ADDRESS'],
    registries.flatMap(({ name, kind, members }) =>
      members.map(({ instanceId, address }) => [
        oneLine(kind === 'registry' ? name : `${name} (partitions)`),
        oneLine(instanceId),
        oneLine(address),
      ]),
    ),
  );
  table(output, ['CONFIG', 'VERSION', 'INSTANCES'], configs.map(configRow));
  table(
    output,
    ['SCHEDULE', 'STATE'],
    jobs.map(({ name, isPaused }) => [oneLine(name), isPaused ? output.styled('yellow', 'paused') : 'runs']),
  );
}

function showMembers(members: readonly MemberReport[], output: Output): void {
  table(
    output,
    ['ETCD', 'VERSION', 'STATE'],
    members.map((member) => {
      if (!member.answers)
        return [member.endpoint, '', output.styled('red', oneLine(`does not answer: ${member.why}`))];
      if (!member.isTold) return [member.endpoint, '', 'answers; does not tell us how it is'];
      const size = showSize(member.dbSizeBytes);
      return [
        member.endpoint,
        member.version,
        member.hasLeader ? `answers, ${size}` : output.styled('red', `knows no leader, ${size}`),
      ];
    }),
  );
}

function table(output: Output, head: readonly string[], rows: readonly (readonly string[])[]): void {
  if (rows.length === 0) return;
  output.line();
  output.table(head, rows);
}

function rowsOf({ kind, name, holders, waiters }: SurveyedQueue, wallMs: number): readonly (readonly string[])[] {
  const waiting = waitersText(waiters, wallMs);
  if (holders.length === 0) return [[kind, oneLine(name), '', '', '', waiting]];
  return holders.map((holder, index) => [
    kind,
    oneLine(holder.slot === undefined ? name : `${name} slot ${holder.slot}`),
    nameOf(holder),
    since(holder, wallMs),
    holder.token.toString(),
    index === 0 ? waiting : '',
  ]);
}

function waitersText(waiters: readonly Contender[], wallMs: number): string {
  if (waiters.length === 0) return '';
  const named = waiters.slice(0, NAMED).map((waiter) => `${nameOf(waiter)} (${since(waiter, wallMs)})`);
  return `${waiters.length}: ${named.join(', ')}${waiters.length > NAMED ? ', …' : ''}`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** Clients other than ours say nothing of themselves. */
function nameOf({ instanceId, lease }: Contender | SharedHolder): string {
  return oneLine(instanceId ?? `lease ${lease}`);
}

function since({ askedAt }: Contender, wallMs: number): string {
  return askedAt === undefined ? '?' : showDuration(wallMs - askedAt.getTime());
}

function configRow({ name, version, reports }: SurveyedConfig): readonly string[] {
  const instances = reports.map(({ instanceId, applied, refused }) => {
    const behind = refused === undefined ? '' : ` (refused ${refused.version ?? '?'}: ${refused.reason})`;
    return oneLine(`${instanceId} ${applied ?? 'none'}${behind}`);
  });
  return [oneLine(name), String(version), instances.join(', ')];
}
