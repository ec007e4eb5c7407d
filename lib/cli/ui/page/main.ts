/** The page: draws what holdfast tells by server-sent events, and says how old it is, also while nothing is told any more. */
import type { Pulse, ShownMember, View } from '../view.ts';
import { drawConfigs } from './configs.ts';
import { drawBadge, drawTable, element, setText } from './drawing.ts';
import { showSeconds } from './duration.ts';
import { drawQueues, tickSince } from './queues.ts';
import { Time } from './time.ts';
import { drawElections, periodOf } from './timeline.ts';

/** Looks and pulses come every second; what is older than this is called old. */
const FRESH_MS = 3_000;

const time = new Time();
const filter = element('filter') as HTMLInputElement;
let view: View | undefined;
/** Those that fit the filter: they are drawn each second, and can be of many terms. */
let elections: View['elections'] = [];

const events = new EventSource('events');
events.addEventListener('view', ({ data }: MessageEvent<string>) => {
  view = JSON.parse(data) as View;
  draw();
});
events.addEventListener('pulse', ({ data }: MessageEvent<string>) => {
  const pulse = JSON.parse(data) as Pulse;
  time.hear(pulse);
  drawMembers(pulse.members);
  tick();
});
events.addEventListener('error', tick);
filter.addEventListener('input', draw);
setInterval(tick, 1_000);

function draw(): void {
  if (view === undefined) return;
  const { namespace, queues, configs, registries, jobs, sessions, incomplete } = view;
  document.body.classList.remove('unknown');
  document.body.classList.toggle('filtered', filter.value.trim() !== '');
  document.title = `${namespace} · holdfast`;
  setText(element('namespace'), namespace);
  elections = wanted(view.elections);
  drawQueues(wanted(queues));
  drawConfigs(wanted(configs));
  drawTable(
    'registries',
    wanted(registries),
    ({ name, instanceId }) => `${name}/${instanceId}`,
    (row) => [row.name, row.instanceId, row.address],
  );
  drawTable(
    'jobs',
    wanted(jobs),
    ({ name }) => name,
    ({ name, isPaused }) => [
      name,
      { fill: (cell) => drawBadge(cell, isPaused ? 'paused' : 'runs', isPaused ? 'warn' : '') },
    ],
  );
  drawTable(
    'sessions',
    wanted(sessions),
    ({ lease }) => lease,
    ({ who, lease }) => [who, lease],
  );
  const more = element('incomplete');
  more.hidden = incomplete.length === 0;
  setText(more, `There is more than is shown of: ${incomplete.join(', ')}.`);
  tick();
}

function drawMembers(members: readonly ShownMember[]): void {
  drawTable(
    'members',
    members,
    ({ endpoint }) => endpoint,
    ({ endpoint, isWell, about }) => [
      endpoint,
      { fill: (cell) => drawBadge(cell, isWell ? 'well' : 'not well', isWell ? 'good' : 'bad') },
      about,
    ],
  );
}

/** Those that have the text of the filter somewhere in what is shown of them. */
function wanted<Item>(items: readonly Item[]): readonly Item[] {
  const text = filter.value.trim().toLowerCase();
  return text === '' ? items : items.filter((item) => textsOf(item).some((each) => each.toLowerCase().includes(text)));
}

/** Of its values, and not of what they are called here. */
function textsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsOf) : [];
}

/** What changes without being told. */
function tick(): void {
  const { pulse, ageMs } = time;
  if (view !== undefined) {
    const knownUntilMs = time.nowMs - (ageMs ?? 0);
    drawElections(elections, periodOf(view.watchedSinceMs, knownUntilMs));
    /* Not on and on while etcd is away: whether it is still held then, nobody knows. */
    tickSince(knownUntilMs);
  }
  const state = stateOf();
  const shown = element('state');
  shown.dataset['state'] = state.is;
  element('content').classList.toggle('old', state.is === 'stale' || state.is === 'lost');
  /* Read out when it changes: so no number is in it. */
  setText(shown, state.text);
  const old = ageMs === undefined ? '' : `${showSeconds(ageMs)} old`;
  setText(element('age'), [old, state.is === 'live' ? undefined : pulse?.failure?.message].filter(Boolean).join(': '));
  const revision = pulse?.revision === undefined ? '' : `revision ${pulse.revision}, epoch ${view?.epoch ?? 0}`;
  setText(element('position'), revision);
}

function stateOf(): { readonly is: 'waiting' | 'live' | 'stale' | 'lost'; readonly text: string } {
  const { pulse, ageMs, silentMs } = time;
  if (pulse === undefined) {
    return events.readyState === EventSource.CLOSED
      ? { is: 'lost', text: 'holdfast ui does not let this page in: it has gone, or too many watch' }
      : { is: 'waiting', text: 'Waits for the first look' };
  }
  if (events.readyState !== EventSource.OPEN)
    return { is: 'lost', text: 'holdfast ui has gone; this is the last that it told' };
  if (silentMs > FRESH_MS) return { is: 'lost', text: 'holdfast ui is silent; this is the last that it told' };
  if (ageMs === undefined) return { is: 'stale', text: `No look has been answered yet (${pulse.health})` };
  if (ageMs <= FRESH_MS && pulse.failure === undefined) return { is: 'live', text: 'Live' };
  /* Why they fail is shown beside it. */
  const why = pulse.failure?.isOutage === false ? 'looks fail' : 'etcd does not answer';
  return { is: 'stale', text: `Old: ${why} (${pulse.health})` };
}
