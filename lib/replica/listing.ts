import type { Instant } from '../runtime/clock.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { repeat, type Repetition } from '../store/repeat.ts';
import { StoreError } from '../store/store-error.ts';
import type { RangeRequest, Span } from '../store/store.ts';
import { Contents } from './contents.ts';
import type { Answer, AskOptions, Questions } from './questions.ts';

export interface Limits {
  /** The most that is kept. */
  readonly maxEntries: number;
  /** About how much memory it may take. */
  readonly maxBytes: number;
}

export interface Listing {
  readonly contents: Contents;
  /** All pages are of this revision. */
  readonly revision: bigint;
  /** When the first page was asked for: the listing was true at some moment after. */
  readonly askedAt: Instant;
}

/** One page. Small enough to be decoded without a pause that anybody would notice. */
const PAGE_ENTRIES = 500;

/** Lists a span at one revision, in pages. Rejects with the StoreError `compacted` if that revision goes away meanwhile. */
export async function listSpan(
  runtime: Runtime,
  questions: Questions,
  repetition: Repetition,
  span: Span,
  limits: Limits,
  call: AskOptions,
): Promise<Listing> {
  const contents = new Contents();
  let first: Answer | undefined;
  for (let from = {}; ;) {
    const at = first === undefined ? {} : { revision: first.revision };
    const page = await listPage(runtime, questions, repetition, { ...span, ...from, ...at }, call);
    first ??= page;
    for (const entry of page.entries) contents.put(entry);
    checkLimits(contents, limits);
    const last = page.entries.at(-1);
    if (!page.more || last === undefined) return { contents, revision: first.revision, askedAt: first.askedAt };
    from = { from: `${last.key}\0` };
  }
}

function listPage(
  runtime: Runtime,
  questions: Questions,
  repetition: Repetition,
  request: RangeRequest,
  call: AskOptions,
): Promise<Answer> {
  let limit = PAGE_ENTRIES;
  const ask = async (): Promise<Answer> => {
    try {
      return await questions.ask({ ...request, limit }, call);
    } catch (error) {
      /* Large values: a smaller page carries them. */
      if (!(error instanceof StoreError) || error.reason !== 'too-large' || limit === 1) throw error;
      limit = Math.ceil(limit / 8);
      throw new StoreError('too-large', 'transient', error.message, { cause: error });
    }
  };
  return repeat(runtime, repetition, ask, { signal: call.signal });
}

/** Throws a StoreError `too-large`, permanent, if there is more than may be kept. */
export function checkLimits(contents: Contents, { maxEntries, maxBytes }: Limits): void {
  const { entries, bytes } = contents;
  if (entries.size <= maxEntries && bytes <= maxBytes) return;
  throw new StoreError(
    'too-large',
    'permanent',
    `there are at least ${entries.size} entries of about ${bytes} bytes; the limits are ${maxEntries} and ${maxBytes}`,
  );
}
