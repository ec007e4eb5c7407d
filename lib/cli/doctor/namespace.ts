import type { Contender } from '../../queue/inspect.ts';
import type { Survey, SurveyedQueue } from '../../survey/survey.ts';
import { oneLine, showDuration } from '../output.ts';
import type { Finding } from './finding.ts';

/** Held for so long, a lock that nobody guards is a risk that somebody has got used to. */
const LONG_MS = 10 * 60_000;

/** Clocks that agree within this are as good as one. */
const CLOCK_MS = 2_000;

/** What stands in the namespace that ought not to, or that is worth knowing. `wallMs`: the time here. */
export function judgeNamespace(survey: Survey, wallMs: number): readonly Finding[] {
  return [...zombies(survey), ...longHolders(survey, wallMs), ...clocksAhead(survey, wallMs), ...behind(survey)];
}

/** Keys of ours whose session is gone while they stand: they end with their leases, and hold others up until then. */
function zombies({ queues }: Survey): readonly Finding[] {
  const all = everybody(queues).filter(({ who }) => who.instanceId === undefined && who.askedAt !== undefined);
  if (all.length === 0) return [{ about: 'queues', level: 'fine', fact: 'everybody in a queue has a session' }];
  return all.map(({ queue, who }) => ({
    about: 'queues',
    level: 'warning',
    fact: `${shown(queue)} has a key of lease ${who.lease}, whose session is gone`,
    advice: `It goes with its lease. To let others on at once: etcdctl lease revoke ${who.lease}`,
  }));
}

function longHolders({ queues }: Survey, wallMs: number): readonly Finding[] {
  return queues
    .filter(({ kind }) => kind === 'lock' || kind === 'rwlock' || kind === 'semaphore')
    .flatMap((queue) =>
      queue.holders
        .filter(({ askedAt }) => askedAt !== undefined && wallMs - askedAt.getTime() > LONG_MS)
        .map(({ instanceId, askedAt }): Finding => ({
          about: 'holders',
          level: 'note',
          fact: `${oneLine(instanceId ?? '?')} has had ${shown(queue)} for ${showDuration(wallMs - (askedAt?.getTime() ?? wallMs))}`,
          advice:
            'What it writes has to be guarded by its token: a pause of any length can fall between its check and its write.',
        })),
    );
}

/** Who asked in the future has a clock that is ahead of ours. Nothing rests on it but ticks, and what people read. */
function clocksAhead({ queues }: Survey, wallMs: number): readonly Finding[] {
  const ahead = everybody(queues).filter(({ who }) => (who.askedAt?.getTime() ?? 0) - wallMs > CLOCK_MS);
  return ahead.map(({ who }) => ({
    about: 'clocks',
    level: 'warning',
    fact: `the clock of ${oneLine(who.instanceId ?? '?')} is at least ${showDuration((who.askedAt?.getTime() ?? 0) - wallMs)} ahead of this one`,
    advice: 'Look at both with NTP. A scheduler whose clock is ahead starts nothing.',
  }));
}

function behind({ configs }: Survey): readonly Finding[] {
  return configs.flatMap(({ name, version, reports }) =>
    reports
      .filter(({ applied, refused }) => refused !== undefined || (applied ?? 0) < version)
      .map(({ instanceId, applied, refused }): Finding => ({
        about: 'configs',
        level: refused === undefined ? 'note' : 'warning',
        fact: `${oneLine(instanceId)} serves version ${applied ?? 'none'} of config ${oneLine(name)}, the newest is ${version}`,
        advice:
          refused === undefined
            ? 'It applies it within a delivery, unless it is cut off.'
            : `It has refused it: ${oneLine(refused.reason)}`,
      })),
  );
}

function everybody(
  queues: readonly SurveyedQueue[],
): readonly { readonly queue: SurveyedQueue; readonly who: Contender }[] {
  return queues.flatMap((queue) => [...queue.holders, ...queue.waiters].map((who) => ({ queue, who })));
}

function shown({ kind, name }: SurveyedQueue): string {
  return `${kind} ${oneLine(name)}`;
}
