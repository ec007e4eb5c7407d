/**
 * Puts lists into the document so that what has not changed is not touched: an opened list of waiters stays open, the focus stays where it is, and a
 * screen reader is not sent back to the beginning each second.
 */

/** What a cell shows: text, or an element that is made once and brought up to date after that. */
export type Cell = string | { readonly className?: string; readonly fill: (cell: HTMLElement) => void };

/** The element with this ID. A page without it is not this page. */
export function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no ${id}`);
  return found;
}

export function setText(node: HTMLElement, text: string): void {
  const shown = legible(text);
  if (node.textContent !== shown) node.textContent = shown;
}

/** Names are as others like them: what would not be seen, or would turn the words around it, as JSON has it. */
export function legible(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\p{Bidi_Control}]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** The first child that fits, or a new one of that kind. */
export function child<Tag extends keyof HTMLElementTagNameMap>(
  parent: HTMLElement,
  tag: Tag,
  className = '',
): HTMLElementTagNameMap[Tag] {
  const selector = className === '' ? tag : `${tag}.${className.split(' ').join('.')}`;
  const found = parent.querySelector<HTMLElementTagNameMap[Tag]>(`:scope > ${selector}`);
  if (found !== null) return found;
  const made = document.createElement(tag);
  if (className !== '') made.className = className;
  parent.append(made);
  return made;
}

/**
 * Makes the children of `parent` those of `items`, in their order; each child keeps its key for as long as its item is there. What goes is taken out
 * before anything is put in, so that those behind it need not move. Several items may have one key: they are told apart by their order.
 */
export function drawList<Item>(
  parent: HTMLElement,
  items: readonly Item[],
  keyOf: (item: Item) => string,
  tag: keyof HTMLElementTagNameMap,
  draw: (child: HTMLElement, item: Item) => void,
): void {
  const known = new Map(
    [...parent.children].map((each) => [(each as HTMLElement).dataset['key'], each as HTMLElement]),
  );
  const keys = toldApart(items.map(keyOf));
  const wanted = new Set<string | undefined>(keys);
  for (const [key, gone] of known) if (!wanted.has(key)) gone.remove();
  let next = parent.firstElementChild;
  for (const [index, item] of items.entries()) {
    const key = keys[index] as string;
    const node = known.get(key) ?? document.createElement(tag);
    node.dataset['key'] = key;
    draw(node, item);
    if (node === next) next = node.nextElementSibling;
    else parent.insertBefore(node, next);
  }
}

function toldApart(keys: readonly string[]): readonly string[] {
  const counts = new Map<string, number>();
  return keys.map((key) => {
    const before = counts.get(key) ?? 0;
    counts.set(key, before + 1);
    return `${key} ${before}`;
  });
}

/** A word with the colour of its state; plain text where it has none. */
export function drawBadge(cell: HTMLElement, text: string, state: '' | 'good' | 'warn' | 'bad'): void {
  const badge = child(cell, 'span');
  badge.className = state === '' ? '' : `badge word ${state}`;
  setText(badge, text);
}

/** The rows of a table of the page, how many there are, and what is said where there are none. */
export function drawTable<Row>(
  id: string,
  rows: readonly Row[],
  keyOf: (row: Row) => string,
  cellsOf: (row: Row) => readonly Cell[],
): void {
  const table = element(id);
  const body = table.querySelector('tbody');
  if (body === null) return;
  const titles = [...table.querySelectorAll('th')].map(({ textContent }) => textContent);
  drawList(body, rows, keyOf, 'tr', (line, row) => {
    const cells = cellsOf(row);
    while (line.children.length < cells.length) line.append(document.createElement('td'));
    for (const [index, cell] of cells.entries()) {
      const node = line.children[index] as HTMLElement;
      /* Where the window is narrow a row is a block, and each cell has its title before it. */
      node.dataset['title'] ??= titles[index] ?? '';
      if (typeof cell === 'string') setText(node, cell);
      else {
        if (cell.className !== undefined) node.className = cell.className;
        cell.fill(node);
      }
    }
  });
  drawCount(table, rows.length);
}

/** In the section around a node. */
export function drawCount(node: HTMLElement, count: number): void {
  const section = node.closest('section');
  const number = section?.querySelector<HTMLElement>('.count');
  if (number) setText(number, count === 0 ? '' : String(count));
  const empty = section?.querySelector<HTMLElement>('.empty');
  if (empty) {
    empty.hidden = count > 0;
    empty.dataset['none'] ??= empty.textContent;
    setText(empty, document.body.classList.contains('filtered') ? 'Nothing fits the filter.' : empty.dataset['none']);
  }
  for (const content of section?.querySelectorAll<HTMLElement>('.scrolled') ?? []) content.hidden = count === 0;
}
