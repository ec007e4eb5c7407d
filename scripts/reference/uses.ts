import type { ApiDeclaredItem } from '@microsoft/api-extractor-model';
import { isPlain, methodsOf, nameOf, propertiesOf, type Page } from './page.ts';
import { typesIn } from './signature.ts';

/** By type, the headings of a page below which it is named: where to get one, or to give one. */
export function usesOf(page: Page): ReadonlyMap<string, ReadonlySet<string>> {
  const uses = new Map<string, Set<string>>();
  const add = (declarations: readonly ApiDeclaredItem[], heading: string): void => {
    for (const type of typesIn(declarations)) uses.set(type, (uses.get(type) ?? new Set()).add(heading));
  };
  for (const item of page.groups.flatMap(({ items }) => items)) {
    add([...shownWith(item), ...propertiesOf(item)], item.displayName);
    for (const method of methodsOf(item)) add([method], nameOf(item, method));
    uses.get(item.displayName)?.delete(item.displayName);
  }
  return uses;
}

/** What is in the block of code of an item. */
export function shownWith(item: ApiDeclaredItem): readonly ApiDeclaredItem[] {
  return isPlain(item) ? [item, ...(item.members as readonly ApiDeclaredItem[])] : [item];
}
