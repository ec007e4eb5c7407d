import { CoordinationUnavailableError } from '../errors.ts';
import type { Contender, SharedHolder } from '../queue/inspect.ts';
import { elapsedMs, sleep, type Instant } from '../runtime/clock.ts';
import type { Survey, SurveyedConfig, SurveyedQueue } from '../survey/survey.ts';
import { untilStopped } from './client.ts';
import type { Call, Command } from './command.ts';
import { EXIT } from './exit-codes.ts';
import { Members, type MemberReport } from './members.ts';
import { oneLine, showDuration, showSize, type Output } from './output.ts';

/** How often `--watch` looks, in milliseconds: one transaction each. */
const LOOK_MS = 1_000;

/** For a member of etcd to say how it is, where --timeout says nothing. */
const MEMBER_MS = 2_000;

/** What moves on a screen is not to stand still for long: so long `--watch` waits for a look, where --timeout says nothing. */
const PATIENCE_MS = 5_000;

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
    const { signal, timeoutMs } = call;
    const isWatched = call.options.flag('watch');
    const coordinator = call.coordinator({ deadlineMs: timeoutMs ?? (isWatched ? PATIENCE_MS : undefined) });
    await using etcd = new Members(call.settings());
    const look = async (): Promise<Look> => {
      const at = call.clock.now();
      const asking = etcd.ask(timeoutMs ?? MEMBER_MS, signal);
      const survey = await coordinator.survey({ signal }).catch(unavailable);
      const members = await asking;
      /* Who was not waited for has not been silent. */
      signal.throwIfAborted();
      return { at, survey, members };
    };
    const begin = async (): Promise<Look> => {
      await coordinator.ready({ timeoutMs, signal });
      return look();
    };
    if (isWatched) return await untilStopped(call, async () => watch(call, begin, look));
    const { at, survey, members } = await begin();
    if (survey instanceof Error) throw survey;
    if (call.output.isJson) call.output.json({ ...survey, members });
    else show(call, { at, survey }, members);
    return EXIT.ok;
  },
};

/** What was seen of the namespace, or that etcd did not answer; and how its members are. */
interface Look {
  readonly at: Instant;
  readonly survey: Survey | CoordinationUnavailableError;
  readonly members: readonly MemberReport[];
}

interface Seen {
  readonly at: Instant;
  readonly survey: Survey;
}

function unavailable(error: unknown): CoordinationUnavailableError {
  if (error instanceof CoordinationUnavailableError) return error;
  throw error;
}

/** One look after the other, through outages too: what was seen last stays, with its age. Rejects with the signal's reason. */
async function watch(call: Call, begin: () => Promise<Look>, look: () => Promise<Look>): Promise<never> {
  const { clock, output, signal } = call;
  let seen: Seen | undefined;
  for (let next = await begin(); ; next = await look()) {
    const { at, survey, members } = next;
    const isOutage = survey instanceof Error;
    if (!isOutage) seen = { at, survey };
    if (output.isJson) output.json(isOutage ? { outage: survey.message, members } : { ...survey, members });
    else {
      output.clear();
      if (isOutage) output.line(output.styled('red', oneLine(survey.message)));
      if (isOutage && seen !== undefined)
        output.line(`So it was ${showDuration(elapsedMs(seen.at, clock.now()))} ago:`);
      show(call, seen, members);
    }
    await sleep(clock, LOOK_MS, signal);
  }
}

function show(call: Call, seen: Seen | undefined, members: readonly MemberReport[]): void {
  if (seen !== undefined) showNamespace(seen, call.settings().keyspace.namespace, call.output);
  showMembers(members, call.output);
}

function showNamespace({ at, survey }: Seen, namespace: string, output: Output): void {
  const { revision, epoch, sessions, queues, registries, configs, jobs, incomplete } = survey;
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
    queues.flatMap((queue) => rowsOf(queue, at.wallMs)),
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
