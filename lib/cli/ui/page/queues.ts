import type { ShownContender, ShownHolder, ShownQueue } from '../view.ts';
import { child, drawList, drawTable, setText, type Cell } from './drawing.ts';
import { showSeconds } from './duration.ts';

interface Row {
  readonly queue: ShownQueue;
  /** `undefined`: nobody has it, and somebody waits. */
  readonly holder: ShownHolder | undefined;
  readonly isFirst: boolean;
}

/** A row for each holder; the waiters stand with the first of them. */
export function drawQueues(queues: readonly ShownQueue[]): void {
  const rows = queues.flatMap((queue): readonly Row[] =>
    queue.holders.length === 0
      ? [{ queue, holder: undefined, isFirst: true }]
      : queue.holders.map((holder, index) => ({ queue, holder, isFirst: index === 0 })),
  );
  drawTable('queues', rows, keyOf, ({ queue, holder, isFirst }) => [
    { className: 'quiet', fill: (cell) => setText(cell, queue.kind) },
    holder?.slot === undefined ? queue.name : `${queue.name}, slot ${holder.slot}`,
    holder === undefined ? '' : { fill: (cell) => drawHolder(cell, holder, queue.value) },
    { className: 'since', fill: (cell) => markSince(cell, holder?.askedAtMs) },
    { className: 'token', fill: (cell) => setText(cell, holder?.token ?? '') },
    isFirst ? waiting(queue.waiters) : '',
  ]);
}

function keyOf({ queue, holder }: Row): string {
  return `${queue.kind}/${queue.name}/${holder?.slot ?? ''}${holder === undefined || queue.holders.length === 1 ? '' : holder.token}`;
}

function drawHolder(cell: HTMLElement, holder: ShownHolder, value: string | undefined): void {
  setText(child(cell, 'span', 'who'), holder.who);
  drawBadges(child(cell, 'span', 'badges'), holder);
  const code = child(cell, 'code');
  code.hidden = value === undefined;
  setText(code, value ?? '');
}

function drawBadges(node: HTMLElement, { isZombie }: ShownContender): void {
  const badges = isZombie ? ['its session is gone'] : [];
  drawList(
    node,
    badges,
    (text) => text,
    'span',
    (badge, text) => {
      badge.className = 'badge bad';
      setText(badge, text);
    },
  );
}

function waiting(waiters: readonly ShownContender[]): Cell {
  return {
    fill: (cell) => {
      const details = child(cell, 'details');
      details.hidden = waiters.length === 0;
      setText(child(details, 'summary'), `${waiters.length} ${waiters.length === 1 ? 'waits' : 'wait'}`);
      drawList(
        child(details, 'ol'),
        waiters,
        ({ lease, askedAtMs }) => `${lease} ${askedAtMs}`,
        'li',
        (item, waiter) => {
          setText(child(item, 'span', 'who'), `${waiter.who} `);
          markSince(child(item, 'span', 'for'), waiter.askedAtMs);
          drawBadges(child(item, 'span', 'badges'), waiter);
        },
      );
    },
  };
}

/** What goes on by itself: {@link tickSince} writes the text. */
function markSince(node: HTMLElement, sinceMs: number | undefined): void {
  if (sinceMs === undefined) {
    delete node.dataset['sinceMs'];
    node.title = '';
    setText(node, '');
    return;
  }
  node.dataset['sinceMs'] = String(sinceMs);
  node.title = `asked for at ${new Date(sinceMs).toISOString()}, by the clock of whoever asked`;
}

/** Brings all that counts up to date, as of when it was seen. */
export function tickSince(seenMs: number): void {
  for (const node of document.querySelectorAll<HTMLElement>('[data-since-ms]')) {
    setText(node, showSeconds(seenMs - Number(node.dataset['sinceMs'])));
  }
}
