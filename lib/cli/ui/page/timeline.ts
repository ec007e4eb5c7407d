import type { ShownElection, ShownTerm } from '../view.ts';
import { child, drawCount, drawList, element, legible, setText } from './drawing.ts';
import { showSeconds } from './duration.ts';
import { showClock } from './time.ts';

/** So much of the past has room. */
const WINDOW_MS = 10 * 60_000;

/** How far back the bars go, and until when anything is known. */
export interface Period {
  readonly sinceMs: number;
  readonly untilMs: number;
}

/** From when terms are watched, at most the length of the window. */
export function periodOf(watchedSinceMs: number, knownUntilMs: number): Period {
  return {
    sinceMs: Math.max(watchedSinceMs, knownUntilMs - WINDOW_MS),
    untilMs: Math.max(knownUntilMs, watchedSinceMs + 1_000),
  };
}

/** Draws the bars of an election as they were last told: of hundreds of elections few are on the screen. */
const bars = new WeakMap<Element, () => void>();
const shown = new WeakSet<Element>();
const screen = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) {
        shown.add(target);
        bars.get(target)?.();
      } else shown.delete(target);
    }
  },
  /* A little ahead of whoever scrolls. */
  { rootMargin: '200px' },
);

/** Bars for the eyes, and the same as a list for everybody. */
export function drawElections(elections: readonly ShownElection[], period: Period): void {
  const list = element('elections');
  setText(
    element('window'),
    elections.length === 0 ? '' : `from ${showClock(period.sinceMs)} to ${showClock(period.untilMs)}`,
  );
  drawList(
    list,
    elections,
    ({ kind, name }) => `${kind}/${name}`,
    'li',
    (item, election) => {
      const { kind, name, terms } = election;
      const last = terms.at(-1);
      const leader = last === undefined || last.toMs !== undefined ? undefined : last;
      setText(child(item, 'strong'), `${kind} ${name}`);
      setText(
        child(item, 'span', 'leader'),
        leader === undefined ? ' has no leader' : ` is led by ${leader.who}, token ${leader.token}`,
      );
      const line = child(item, 'ul', 'terms');
      if (!bars.has(item)) screen.observe(item);
      bars.set(item, () => drawBars(line, terms, period));
      if (shown.has(item)) drawBars(line, terms, period);
      const details = child(item, 'details');
      setText(child(details, 'summary'), `${terms.length} ${terms.length === 1 ? 'term' : 'terms'} seen`);
      const drawTerms = (): void => drawLines(child(details, 'ol'), terms, period.untilMs);
      /* Of hundreds of elections few are looked into. */
      details.ontoggle = drawTerms;
      if (details.open) drawTerms();
    },
  );
  drawCount(list, elections.length);
}

function drawLines(list: HTMLElement, terms: readonly ShownTerm[], knownUntilMs: number): void {
  drawList(
    list,
    terms.toReversed(),
    ({ token }) => token,
    'li',
    (line, term) => {
      setText(line, textOf(term, knownUntilMs));
    },
  );
}

function drawBars(list: HTMLElement, terms: readonly ShownTerm[], { sinceMs, untilMs }: Period): void {
  list.setAttribute('aria-hidden', 'true');
  /* Also one that a single look has seen. */
  const visible = terms.filter(({ toMs = untilMs }) => toMs >= sinceMs);
  const share = (ms: number): number =>
    (100 * (Math.min(Math.max(ms, sinceMs), untilMs) - sinceMs)) / (untilMs - sinceMs);
  drawList(
    list,
    visible,
    ({ token }) => token,
    'li',
    (bar, term) => {
      const { fromMs, toMs = untilMs, who } = term;
      /* One that has just begun is to be seen, too. */
      bar.style.left = `min(${share(fromMs)}%, 100% - 4px)`;
      bar.style.width = `${share(toMs) - share(fromMs)}%`;
      bar.className = term.toMs === undefined ? '' : 'over';
      /* For who points at it, since to write times down takes its time. */
      bar.onpointerenter = () => {
        bar.title = legible(textOf(term, untilMs));
      };
      setText(bar, who);
    },
  );
}

function textOf({ who, token, fromMs, isOlder, toMs }: ShownTerm, knownUntilMs: number): string {
  const began = isOlder ? `before ${showClock(fromMs)}` : `at ${showClock(fromMs)}`;
  const lasted = showSeconds((toMs ?? knownUntilMs) - fromMs);
  const end = toMs === undefined ? `leads for ${lasted} that were seen` : `until ${showClock(toMs)}, ${lasted}`;
  return `${who}, token ${token}: began ${began}, ${end}`;
}
