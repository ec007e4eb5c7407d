import type { Contender } from '../../queue/inspect.ts';
import type { Survey, SurveyedConfig, SurveyedQueue } from '../../survey/survey.ts';
import type { MemberReport } from '../members.ts';
import { showSize } from '../output.ts';
import type { ShownConfig, ShownContender, ShownElection, ShownMember, ShownQueue, View } from './view.ts';

/** Of a value so much is shown, in characters. */
const MOST_SHOWN = 2_000;

export interface Seen {
  readonly namespace: string;
  readonly survey: Survey;
  readonly elections: readonly ShownElection[];
  readonly watchedSinceMs: number;
  /** The value of a config, where values are shown at all. */
  readonly valueOf: ((config: string) => unknown) | undefined;
}

/** What was seen, as the page shows it. */
export function portray({ namespace, survey, elections, watchedSinceMs, valueOf }: Seen): View {
  const { epoch, queues, registries, configs, jobs, sessions, incomplete } = survey;
  return {
    namespace,
    epoch,
    queues: queues.map((queue) => shownQueue(queue, valueOf !== undefined)),
    elections,
    watchedSinceMs,
    configs: configs.map((config) => shownConfig(config, valueOf)),
    registries: registries.flatMap(({ kind, name, members: all }) =>
      all.map(({ instanceId, address }) => ({
        name: kind === 'registry' ? name : `${name} (partitions)`,
        instanceId,
        address,
      })),
    ),
    jobs,
    sessions: sessions.map(({ instanceId, lease }) => ({ who: whoIs({ instanceId, lease }), lease })),
    incomplete,
  };
}

/** Clients other than ours say nothing of themselves. */
export function whoIs({ instanceId, lease }: Pick<Contender, 'instanceId' | 'lease'>): string {
  return instanceId ?? `lease ${lease}`;
}

function shownQueue({ kind, name, holders, waiters, value }: SurveyedQueue, showsValues: boolean): ShownQueue {
  return {
    kind,
    name,
    holders: holders.map((holder) => ({
      ...shownContender(holder),
      token: holder.token.toString(),
      ...(holder.slot === undefined ? {} : { slot: holder.slot }),
    })),
    waiters: waiters.map(shownContender),
    ...(showsValues && value !== undefined && value !== '' ? { value: shortened(value) } : {}),
  };
}

function shownContender(contender: Contender): ShownContender {
  const { instanceId, lease, askedAt } = contender;
  return {
    who: whoIs(contender),
    lease,
    ...(askedAt === undefined ? {} : { askedAtMs: askedAt.getTime() }),
    isZombie: instanceId === undefined && askedAt !== undefined,
  };
}

function shownConfig({ name, version, reports }: SurveyedConfig, valueOf: Seen['valueOf']): ShownConfig {
  const value = valueOf?.(name);
  return {
    name,
    version,
    instances: reports
      .toSorted((one, other) => (one.instanceId < other.instanceId ? -1 : 1))
      .map(({ instanceId, applied, refused }) => ({
        instanceId,
        ...(applied === undefined ? {} : { applied }),
        ...(refused === undefined
          ? {}
          : {
              refused: {
                reason: refused.reason,
                ...(refused.version === undefined ? {} : { version: refused.version }),
              },
            }),
      })),
    ...(value === undefined ? {} : { value: shortened(JSON.stringify(value)) }),
  };
}

/** How a member of etcd is, as the page shows it. */
export function shownMember(member: MemberReport): ShownMember {
  const { endpoint } = member;
  if (!member.answers) return { endpoint, isWell: false, about: member.why };
  if (!member.isTold) return { endpoint, isWell: true, about: 'answers; does not tell us how it is' };
  const size = showSize(member.dbSizeBytes);
  return {
    endpoint,
    isWell: member.hasLeader,
    about: `etcd ${member.version}, ${size}${member.hasLeader ? '' : ', knows no leader'}`,
  };
}

function shortened(text: string): string {
  return text.length <= MOST_SHOWN ? text : `${text.slice(0, MOST_SHOWN)}…`;
}
