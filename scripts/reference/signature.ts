import {
  type ApiDeclaredItem,
  ApiItemKind,
  type ApiPropertyItem,
  ExcerptTokenKind,
} from '@microsoft/api-extractor-model';
import { format } from 'oxfmt';
import { isPlain } from './page.ts';

const INDENT = '  ';
const FORMAT = { printWidth: 100, singleQuote: true, objectWrap: 'collapse' } as const;

/** An item as it is declared; its members only if there is nothing to say about them. Empty if its name says all the rest. */
export async function declarationOf(item: ApiDeclaredItem): Promise<string> {
  const head = item.excerpt.text.trim();
  if (item.kind !== ApiItemKind.Class && item.kind !== ApiItemKind.Interface) return formatted(head);
  const members = isPlain(item) ? item.members : [];
  const body = members.map((member) => (member as ApiDeclaredItem).excerpt.text).join('\n');
  const declaration = await formatted(`${head} {\n${body}\n}`);
  const rest = declaration.replace(/ \{\}$/, '');
  return /^(class|interface) \w+$/.test(rest) ? '' : rest;
}

/** A method, as it stands in the declaration of its item. */
export async function methodOf(method: ApiDeclaredItem): Promise<string> {
  const lines = (await formatted(`declare abstract class Any {\n${method.excerpt.text}\n}`)).split('\n').slice(1, -1);
  return lines.map((line) => line.slice(INDENT.length)).join('\n');
}

/** A property on one line. That it is read-only, or may be given as `undefined`, goes without saying. */
export function propertyOf(property: ApiDeclaredItem): string {
  const text = oneLine(property.excerpt.text).replace(/;$/, '');
  if (property.kind !== ApiItemKind.Property && property.kind !== ApiItemKind.PropertySignature) return text;
  const { displayName, isOptional, propertyTypeExcerpt } = property as ApiPropertyItem;
  // A constant has no type but a value.
  const type = oneLine(propertyTypeExcerpt.text) || text.slice(text.indexOf('=') + 2).replaceAll('"', "'");
  return `${displayName}${isOptional ? '?' : ''}: ${isOptional ? withoutUndefined(type) : type}`;
}

/** The names of the types of this package in some declarations, each once. */
export function typesIn(declarations: readonly ApiDeclaredItem[]): ReadonlySet<string> {
  const tokens = declarations.flatMap(({ excerptTokens }) => excerptTokens);
  const ours = tokens.filter(
    ({ kind, canonicalReference }) =>
      kind === ExcerptTokenKind.Reference && canonicalReference?.toString().startsWith('holdfast!') === true,
  );
  return new Set(ours.map(({ text }) => text));
}

function withoutUndefined(type: string): string {
  const rest = type.replace(/ \| undefined$/, '');
  // A function has brackets around it only beside something else.
  return rest.replace(/^\((\(.*)\)$/, '$1');
}

function oneLine(text: string): string {
  return text
    .replaceAll(/\s+/g, ' ')
    .replaceAll('; }', ' }')
    .replaceAll(/\breadonly (?=[\w[]+[?:])/g, '')
    .trim();
}

async function formatted(source: string): Promise<string> {
  const { code, errors } = await format('signature.ts', source, FORMAT);
  if (errors.length > 0) throw new Error(`Expected a declaration, got: ${source}`);
  return code.trimEnd().replace(/^export (declare )?/, '');
}
