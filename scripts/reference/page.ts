import {
  type ApiClass,
  ApiDeclaredItem,
  type ApiDocumentedItem,
  type ApiItem,
  ApiItemKind,
  type ApiPackage,
} from '@microsoft/api-extractor-model';

/** One page a subpath of package.json, with what the model of API Extractor has of it. */
export class Page {
  /** As it is imported: `holdfast/guards/postgres`. */
  readonly specifier: string;
  readonly file: string;
  readonly model: ApiPackage;
  /** In the order of the page; empty ones left out. */
  readonly groups: readonly Group[];

  constructor(specifier: string, file: string, model: ApiPackage) {
    this.specifier = specifier;
    this.file = file;
    this.model = model;
    const items = model.entryPoints.flatMap((entryPoint) => entryPoint.members).filter(isDeclared);
    this.groups = GROUPS.map(([title, belongs]) => ({ title, items: items.filter(belongs) })).filter(
      (group) => group.items.length > 0,
    );
    const grouped = this.groups.reduce((sum, group) => sum + group.items.length, 0);
    if (grouped !== items.length)
      throw new Error(`${specifier} exports something of a kind that the reference has no group for`);
  }
}

export interface Group {
  readonly title: string;
  readonly items: readonly ApiDeclaredItem[];
}

const GROUPS: readonly (readonly [title: string, belongs: (item: ApiDeclaredItem) => boolean])[] = [
  ['Functions', (item) => item.kind === ApiItemKind.Function],
  ['Classes', (item) => item.kind === ApiItemKind.Class && !isError(item as ApiClass)],
  ['Interfaces', (item) => item.kind === ApiItemKind.Interface],
  ['Types', (item) => item.kind === ApiItemKind.TypeAlias],
  ['Errors', (item) => item.kind === ApiItemKind.Class && isError(item as ApiClass)],
  ['Constants', (item) => item.kind === ApiItemKind.Variable],
];

function isError(item: ApiClass): boolean {
  return ['Error', 'HoldfastError'].includes(item.extendsType?.excerpt.text.trim() ?? '');
}

const METHODS: readonly ApiItemKind[] = [ApiItemKind.Constructor, ApiItemKind.Method, ApiItemKind.MethodSignature];

/** What has a heading of its own below that of its item: what can be called. */
export function methodsOf(item: ApiItem): readonly ApiDeclaredItem[] {
  if (isPlain(item)) return [];
  return item.members.filter(isDeclared).filter((member) => METHODS.includes(member.kind));
}

/** The other members. */
export function propertiesOf(item: ApiItem): readonly ApiDeclaredItem[] {
  if (isPlain(item)) return [];
  return item.members.filter(isDeclared).filter((member) => !METHODS.includes(member.kind));
}

/** Whether its declaration says it all: of no member is there more to say than its type. */
export function isPlain(item: ApiItem): boolean {
  return item.members.every((member) => (member as ApiDocumentedItem).tsdocComment === undefined);
}

/** The text of a member's heading, and by which a docstring refers to it. */
export function nameOf(item: ApiDeclaredItem, member: ApiDeclaredItem): string {
  if (member.kind === ApiItemKind.Constructor) return `new ${item.displayName}`;
  const { displayName } = member;
  return displayName.startsWith('[') ? `${item.displayName}${displayName}` : `${item.displayName}.${displayName}`;
}

function isDeclared(item: ApiItem): item is ApiDeclaredItem {
  return item instanceof ApiDeclaredItem;
}
