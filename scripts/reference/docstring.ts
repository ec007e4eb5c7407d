import {
  DocCodeSpan,
  DocErrorText,
  DocEscapedText,
  DocFencedCode,
  DocLinkTag,
  DocParagraph,
  DocPlainText,
  DocSoftBreak,
  type DocComment,
  type DocNode,
  type DocSection,
} from '@microsoft/tsdoc';

/** Where a name leads, from where the docstring stands; `undefined` if it is in no page. */
export type LinkTo = (name: string) => string | undefined;

/** A docstring as Markdown: what it says, then its default. Empty if there is nothing to say. */
export function proseOf(comment: DocComment | undefined, linkTo: LinkTo): string {
  if (comment === undefined) return '';
  const summary = sectionOf(comment.summarySection, linkTo);
  const tag = comment.customBlocks.find((block) => block.blockTag.tagName === '@default');
  if (tag === undefined) return summary;
  const value = sectionOf(tag.content, linkTo);
  return `${summary} Default: ${markValue(value)}.`.trimStart();
}

/** Its first paragraph, on one line. */
export function firstParagraphOf(comment: DocComment | undefined, linkTo: LinkTo): string {
  const [first = ''] = proseOf(comment, linkTo).split('\n\n');
  return first.replaceAll('\n', ' ');
}

/** A default that begins with a literal has it in code: `2_000`, or `baseDelayMs` if that is more. */
function markValue(text: string): string {
  return text.replace(/^('[^']*'|\d[\d_.]*n?|true|false|\{\})(?=,|$)/, '`$1`');
}

function sectionOf(section: DocSection, linkTo: LinkTo): string {
  return section.nodes
    .map((node) => textOf(node, linkTo).trim())
    .filter((text) => text !== '')
    .join('\n\n');
}

function textOf(node: DocNode, linkTo: LinkTo): string {
  if (node instanceof DocParagraph) return node.nodes.map((child) => textOf(child, linkTo)).join('');
  if (node instanceof DocPlainText) return linkPaths(node.text);
  if (node instanceof DocSoftBreak) return '\n';
  if (node instanceof DocCodeSpan) return `\`${node.code}\``;
  if (node instanceof DocFencedCode) return `\`\`\`${node.language}\n${node.code.trimEnd()}\n\`\`\``;
  if (node instanceof DocLinkTag) return linkOf(node, linkTo);
  if (node instanceof DocEscapedText) return node.decodedText;
  // What looks like a tag or a placeholder, and is none: it was meant as it stands.
  if (node instanceof DocErrorText) return node.text;
  throw new Error(`Expected a docstring of text, code and links, got a ${node.kind}`);
}

/** Docstrings name a page of docs by its path in the repository. */
function linkPaths(text: string): string {
  return text.replaceAll(/\bdocs\/(\S+\.md)/g, '[$&](../$1)');
}

function linkOf(tag: DocLinkTag, linkTo: LinkTo): string {
  const name = (tag.codeDestination?.memberReferences ?? [])
    .map((reference) => reference.memberIdentifier?.identifier ?? '')
    .join('.');
  const target = linkTo(name);
  const text = tag.linkText ?? `\`${name}\``;
  return target === undefined ? text : `[${text}](${target})`;
}
