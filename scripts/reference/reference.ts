import { type ApiDeclaredItem, type ApiItem, type ApiDocumentedItem } from '@microsoft/api-extractor-model';
import { Anchors } from './anchors.ts';
import { firstParagraphOf, type LinkTo, proseOf } from './docstring.ts';
import { methodsOf, nameOf, propertiesOf, type Page } from './page.ts';
import { declarationOf, methodOf, propertyOf, typesIn } from './signature.ts';
import { shownWith, usesOf } from './uses.ts';

const NOTE = '<!-- Written by `npm run api:update` from the docstrings in lib. -->';

/** The text of every page, and of an index of them, by file name. */
export async function referenceOf(pages: readonly Page[]): Promise<ReadonlyMap<string, string>> {
  const anchors = new Anchors(pages);
  const texts = new Map([['README.md', indexOf(pages, anchors)]]);
  for (const page of pages) texts.set(page.file, await pageOf(page, anchors));
  return texts;
}

function indexOf(pages: readonly Page[], anchors: Anchors): string {
  const lines = pages.map((page) => {
    const summary = firstParagraphOf(page.model.tsdocComment, (name) => anchors.find(name, page));
    return `- [\`${page.specifier}\`](${page.file}): ${summary}`;
  });
  return joined(['# API reference', NOTE, lines.join('\n')]);
}

async function pageOf(page: Page, anchors: Anchors): Promise<string> {
  const linkTo: LinkTo = (name) => anchors.find(name, page);
  const contents = page.groups.map(({ title, items }) => {
    const links = items.map(({ displayName }) => linked(`\`${displayName}\``, linkTo(displayName)));
    return `**${title}**: ${links.join(' · ')}`;
  });
  const blocks = [`# ${page.specifier}`, NOTE, docOf(page.model, linkTo), ...contents];
  const uses = usesOf(page);
  for (const { title, items } of page.groups) {
    blocks.push(`## ${title}`);
    for (const item of items) {
      // Nearly every error is derived from one; to list them there says nothing.
      const usedBy = title === 'Errors' ? [] : [...(uses.get(item.displayName) ?? [])];
      blocks.push(...(await itemOf(item, usedBy, linkTo)));
    }
  }
  return joined(blocks);
}

async function itemOf(item: ApiDeclaredItem, usedBy: readonly string[], linkTo: LinkTo): Promise<readonly string[]> {
  const within: LinkTo = (name) => linkTo(`${item.displayName}.${name}`) ?? linkTo(name);
  const blocks = [
    `### ${item.displayName}`,
    code(await declarationOf(item)),
    docOf(item, within),
    [seeAlso('See', namesIn(item, shownWith(item)), linkTo), seeAlso('Used by', usedBy, linkTo)].join(' ').trim(),
    propertiesOf(item)
      .map((property) => propertyLine(property, within))
      .join('\n'),
  ];
  for (const method of methodsOf(item)) {
    blocks.push(`#### ${nameOf(item, method)}`, code(await methodOf(method)), docOf(method, within));
    blocks.push(seeAlso('See', namesIn(item, [method]), linkTo));
  }
  return blocks;
}

function propertyLine(property: ApiDeclaredItem, linkTo: LinkTo): string {
  const types = [...typesIn([property])].filter((name) => linkTo(name) !== undefined);
  const [only] = types;
  const text = `\`${propertyOf(property)}\``;
  const signature = types.length === 1 && only !== undefined ? linked(text, linkTo(only)) : text;
  const doc = docOf(property, linkTo);
  return `- ${doc === '' ? signature : `${signature}: ${doc}`}`.replaceAll('\n', '\n  ');
}

function namesIn(item: ApiDeclaredItem, declarations: readonly ApiDeclaredItem[]): readonly string[] {
  return [...typesIn(declarations)].filter((name) => name !== item.displayName);
}

/** Links beside a block of code, which cannot have any. */
function seeAlso(lead: string, names: readonly string[], linkTo: LinkTo): string {
  const known = names.filter((name) => linkTo(name) !== undefined);
  return known.length === 0 ? '' : `${lead} ${known.map((name) => linked(`\`${name}\``, linkTo(name))).join(', ')}.`;
}

function docOf(item: ApiItem, linkTo: LinkTo): string {
  return proseOf((item as ApiDocumentedItem).tsdocComment, linkTo);
}

function linked(text: string, target: string | undefined): string {
  return target === undefined ? text : `[${text}](${target})`;
}

function code(text: string): string {
  return text === '' ? '' : `\`\`\`ts\n${text}\n\`\`\``;
}

function joined(blocks: readonly string[]): string {
  return `${blocks.filter((block) => block !== '').join('\n\n')}\n`;
}
