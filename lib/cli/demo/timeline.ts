import type { JobRecord } from '../../schedule/record.ts';
import { showInstant, type Output } from '../output.ts';
import type { Finding } from './finding.ts';
import type { Observation } from './observation.ts';

type Style = Parameters<Output['styled']>[0];

/** What of an observation is shown to people: by whom, what, and how. */
interface Line {
  readonly who: string;
  readonly what: string;
  readonly style?: Style;
}

const WHO_WIDTH = 9;

/** What is seen, as it is: to people as a line of the story, to programs as it stands in the journal. */
export function showObservation(output: Output, observation: Observation): void {
  if (output.isJson) return output.json(observation);
  if (observation.type === 'act') {
    output.line(`\n${output.styled('bold', `${observation.act}. ${observation.title}`)}`);
    return undefined;
  }
  const line = lineOf(observation);
  if (line === undefined) return undefined;
  const { who, what, style } = line;
  const at = `${(observation.atMs / 1_000).toFixed(3)} s`.padStart(10);
  output.line(
    `${output.styled('dim', at)}  ${who.padEnd(WHO_WIDTH)}${style === undefined ? what : output.styled(style, what)}`,
  );
}

export function showFindings(output: Output, findings: readonly Finding[]): void {
  if (output.isJson) {
    for (const finding of findings) output.json({ type: 'finding', ...finding });
    return;
  }
  output.line(`\n${output.styled('bold', 'What held')}`);
  const width = Math.max(...findings.map(({ name }) => name.length));
  for (const { name, held, found } of findings) {
    const verdict = held ? output.styled('green', 'ok    ') : output.styled('red', 'FAILED');
    output.line(`  ${verdict}  ${name.padEnd(width)}  ${found}`);
  }
  output.line();
}

/** `undefined`: for programs alone. */
function lineOf(seen: Observation): Line | undefined {
  switch (seen.type) {
    case 'wrote':
      return wroteLine(seen);
    case 'refused':
      return {
        who: 'guard',
        what: `refuses token ${seen.token}: it has seen ${seen.highest}. Nothing is written`,
        style: 'green',
      };
    case 'ran':
      return { who: seen.worker, what: `runs the tick of ${timeOf(seen.tick)} with token ${seen.token}` };
    case 'health':
      return healthLine(seen.worker, seen.state);
    case 'failed':
      return { who: seen.worker, what: `sees its work under the lock end with ${seen.code}` };
    case 'holds':
      return { who: seen.worker, what: `holds a lock of its own with token ${seen.token}` };
    case 'lost':
      return { who: seen.worker, what: `is told that its lock is lost: ${seen.code}` };
    case 'asked':
      return {
        who: seen.worker,
        what: `asks for a lock: ${seen.code ?? 'granted'} after ${seen.tookMs.toFixed(1)} ms`,
      };
    case 'read':
      return { who: seen.worker, what: readText(seen) };
    case 'serves':
      return seen.version < 2 ? undefined : { who: seen.worker, what: `serves version ${seen.version}` };
    case 'lease-ended':
      return { who: 'etcd', what: `ends the lease of ${seen.worker}` };
    case 'calls':
      return { who: 'etcd', what: `has answered ${seen.calls} calls meanwhile, of whatever kind` };
    case 'history':
      return { who: 'etcd', what: `has on record: ${seen.records.map(recordText).join(', ')}` };
    case 'stopped':
      return {
        who: 'demo',
        what: `stops ${seen.worker} (SIGSTOP, pid ${seen.pid}), whose write with token ${seen.token} is on its way`,
        style: 'yellow',
      };
    case 'woken':
      return { who: 'demo', what: `wakes ${seen.worker} (SIGCONT): its write goes on`, style: 'yellow' };
    case 'cut':
      return { who: 'demo', what: 'lets nothing pass between the workers and etcd', style: 'yellow' };
    case 'healed':
      return { who: 'demo', what: 'lets everything pass again', style: 'yellow' };
    case 'set':
      return { who: 'operator', what: `sets ${JSON.stringify(seen.value)}: version ${seen.version}`, style: 'yellow' };
    case 'killed':
      return {
        who: 'demo',
        what: `kills ${seen.worker} (SIGKILL, pid ${seen.pid}) in its run of ${timeOf(seen.tick)}`,
        style: 'yellow',
      };
    case 'unseen':
      return { who: 'demo', what: `has waited in vain: no ${seen.what}`, style: 'red' };
    case 'act':
    case 'session':
    case 'lapsed':
    case 'writes':
    case 'rests':
      return undefined;
  }
}

function wroteLine({ worker, token, before, value }: Extract<Observation, { type: 'wrote' }>): Line {
  const what = `writes ${value} with token ${token}`;
  if (value === before + 1) return { who: worker, what };
  return { who: worker, what: `${what} over ${before}: what came between is lost`, style: 'red' };
}

function healthLine(worker: string, state: string): Line | undefined {
  switch (state) {
    case 'suspended':
      return { who: worker, what: 'suspended: it holds what it holds, for as long as that is sure', style: 'dim' };
    case 'degraded':
      return { who: worker, what: 'degraded: nothing that rested on its lease is trusted', style: 'dim' };
    case 'connected':
      return { who: worker, what: 'connected', style: 'dim' };
    default:
      return undefined;
  }
}

function readText({ reads, version, source, ageMs, tookMs }: Extract<Observation, { type: 'read' }>): string {
  const age = ageMs === undefined ? '' : `, ${(ageMs / 1_000).toFixed(1)} s old`;
  return `reads ${reads.toLocaleString('en-US')} times in ${Math.ceil(tookMs)} ms: version ${version}, ${source}${age}`;
}

function recordText(record: JobRecord): string {
  const from = timeOf(record.scheduledFor).slice(-2);
  if (record.state !== 'missed' || record.count === 1) return `:${from} ${record.state}`;
  return `:${from} to :${timeOf(record.until).slice(-2)} missed`;
}

function timeOf(tick: Date | string): string {
  return showInstant(new Date(tick)).slice(11, 19);
}
