import { LimitExceededError } from '../errors.ts';
import type { KeyValue } from '../store/store.ts';

/** Somebody who has registered, as the store has it. */
export interface Member {
  /** Which process it is. */
  readonly instanceId: string;
  /** Where it is to be reached; no two members have the same one. */
  readonly address: string;
  /** What else it says of itself: a version, a zone. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The create revision of its registration: of two members, the one with the smaller one has been there for longer. */
  readonly revision: bigint;
  /** With the revision as decimal text, since JSON has no bigint. */
  toJSON(): Record<string, unknown>;
}

/** What a member says of itself. */
export interface MemberDescription {
  readonly instanceId: string;
  readonly address: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Every reader keeps all members in memory, and it is no place for data: a page of memory is plenty. */
const MAX_BYTES = 4_096;

/** The text under a member's key. Throws LimitExceededError for more than 4,096 bytes. */
export function sealMember({ instanceId, address, metadata }: MemberDescription): string {
  const text = JSON.stringify({ instanceId, address, metadata });
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_BYTES) {
    throw new LimitExceededError(
      `Expected a member to describe itself in at most ${MAX_BYTES} bytes of JSON, got ${bytes}. Nothing was sent.`,
    );
  }
  return text;
}

/**
 * The members that these entries tell of, by their addresses. After a lost session a process can be there twice until its old lease has ended:
 * the newer one counts. What somebody else has put there is no member.
 */
export function membersOf(entries: Iterable<KeyValue>): readonly Member[] {
  const members = new Map<string, Member>();
  for (const entry of entries) {
    const member = openMember(entry);
    if (member === undefined) continue;
    const known = members.get(member.address);
    if (known === undefined || known.revision < member.revision) members.set(member.address, member);
  }
  return [...members.values()].toSorted((a, b) => (a.address < b.address ? -1 : 1));
}

/** What each entry is, for as long as it stands: members change one at a time, and there may be thousands. */
const opened = new WeakMap<KeyValue, Member | undefined>();

function openMember(entry: KeyValue): Member | undefined {
  if (!opened.has(entry)) opened.set(entry, open(entry));
  return opened.get(entry);
}

function open({ value, createRevision }: KeyValue): Member | undefined {
  try {
    const { instanceId, address, metadata } = JSON.parse(value) as Partial<MemberDescription>;
    if (typeof instanceId !== 'string' || typeof address !== 'string' || !isTexts(metadata)) return undefined;
    return new RegisteredMember(instanceId, address, Object.freeze({ ...metadata }), createRevision);
  } catch {
    return undefined;
  }
}

function isTexts(metadata: unknown): metadata is Record<string, string> {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) return false;
  return Object.values(metadata).every((value) => typeof value === 'string');
}

class RegisteredMember implements Member {
  readonly instanceId: string;
  readonly address: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly revision: bigint;

  constructor(instanceId: string, address: string, metadata: Readonly<Record<string, string>>, revision: bigint) {
    this.instanceId = instanceId;
    this.address = address;
    this.metadata = metadata;
    this.revision = revision;
  }

  toJSON(): Record<string, unknown> {
    const { instanceId, address, metadata, revision } = this;
    return { instanceId, address, metadata, revision: revision.toString() };
  }
}
