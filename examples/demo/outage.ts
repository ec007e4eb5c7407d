/** Act 3: etcd is away. Nothing is granted, reads go on from memory and say how old they are, and everybody goes on when it is back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { lengthMs, type Outage } from './evidence.ts';
import type { Said } from './roll-call.ts';
import type { Stage } from './stage.ts';
import { names, tokens } from './stopped-holder.ts';
import { count, seconds } from './timeline.ts';

/** How long etcd stays away after all workers have noticed. */
const AWAY_MS = 1_000;

/** Reads turn stale, and live again, within seconds or not at all. */
const LIMIT_MS = 10_000;

export async function etcdIsAway(stage: Stage): Promise<Outage> {
  const { etcd, timeline, reports, dispatcher, rollCall, witness, signal } = stage;
  await sleep(300, undefined, { signal });
  await etcd.stop({ signal: 'SIGKILL' });
  const from = process.hrtime.bigint();
  const elapsed = (): string => seconds(lengthMs({ from, to: process.hrtime.bigint() }));
  timeline.say('nemesis', `kills etcd (SIGKILL, pid ${etcd.pid})`, 'trouble');
  await rollCall.all(({ health }) => health === 'suspended' || health === 'degraded', signal);
  timeline.say('workers', 'suspended: who holds a lock keeps it for as long as its lease is sure to last');
  if (await rollCall.allWithin(LIMIT_MS, ({ stretch }) => stretch?.source === 'stale', signal)) {
    timeline.say(
      'workers',
      `read the pace from memory as before; now it says that it is stale, ${ageOf(rollCall.said)} old`,
    );
  }
  await rollCall.all(({ health }) => health === 'degraded', signal);
  timeline.say(
    'workers',
    `degraded after ${elapsed()}: nothing is granted, and who asks is told so at once`,
    'refused',
  );
  await sleep(AWAY_MS, undefined, { signal });

  const { answers, versions } = witness.answersSince(from);
  timeline.say(
    'workers',
    `have read the pace ${count(answers)} times meanwhile: version ${versions.join(', ')}, ${ageOf(rollCall.said)} old by now`,
  );
  const outage = { from, to: process.hrtime.bigint() };
  timeline.say('nemesis', `starts etcd again after ${seconds(lengthMs(outage))}, with its data`, 'trouble');
  const granted = reports.next((report) => (report.type === 'granted' ? report : undefined), signal);
  await etcd.restart();
  timeline.say('etcd', 'answers again');
  await rollCall.all(({ health }) => health === 'connected', signal);
  timeline.say('workers', 'connected again, with new sessions', 'good');
  if (await rollCall.allWithin(LIMIT_MS, ({ stretch }) => stretch?.source === 'live', signal)) {
    timeline.say('workers', `read the pace live again, ${ageOf(rollCall.said)} old`, 'good');
  }
  const first = await Promise.race([granted, dispatcher.finished]);
  if (first !== undefined) {
    timeline.say(first.worker, `gets ${names(first.touched)}, tokens ${tokens(first.touched)}`, 'good');
  }
  return outage;
}

/** How old the oldest of the last answers is. */
function ageOf(said: readonly Said[]): string {
  return seconds(Math.max(...said.map(({ stretch }) => stretch?.greatestAgeMs ?? 0)));
}
