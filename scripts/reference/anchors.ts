import { methodsOf, nameOf, propertiesOf, type Page } from './page.ts';

/** Where every heading of every page is, by GitHub's rule for anchors. */
export class Anchors {
  readonly #pages: readonly Page[];
  readonly #byPage = new Map<Page, ReadonlyMap<string, string>>();

  constructor(pages: readonly Page[]) {
    this.#pages = pages;
    for (const page of pages) this.#byPage.set(page, anchorsOf(page));
  }

  /** The link from a page to a name: on that page if it is there, otherwise on the first other one that has it. */
  find(name: string, from: Page): string | undefined {
    const own = this.#byPage.get(from)?.get(name);
    if (own !== undefined) return `#${own}`;
    for (const page of this.#pages) {
      const anchor = this.#byPage.get(page)?.get(name);
      if (anchor !== undefined) return `${page.file}#${anchor}`;
    }
    return undefined;
  }
}

/** By name, and in the order of the headings, on which it depends: what would be equal is numbered. */
function anchorsOf(page: Page): ReadonlyMap<string, string> {
  const anchors = new Map<string, string>();
  const uses = new Map<string, number>();
  const add = (heading: string): string => {
    const slug = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_\- ]/gu, '')
      .replaceAll(' ', '-');
    const used = uses.get(slug) ?? 0;
    uses.set(slug, used + 1);
    return used === 0 ? slug : `${slug}-${used}`;
  };
  add(page.specifier);
  for (const { title, items } of page.groups) {
    add(title);
    for (const item of items) {
      const anchor = add(item.displayName);
      anchors.set(item.displayName, anchor);
      // They stand in the list right below.
      for (const property of propertiesOf(item)) anchors.set(nameOf(item, property), anchor);
      for (const method of methodsOf(item)) anchors.set(nameOf(item, method), add(nameOf(item, method)));
    }
  }
  return anchors;
}
