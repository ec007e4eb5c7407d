import type { ConfigSource } from '../../config/config-entry.ts';
import type { HealthState } from '../../health/health.ts';
import type { JobRecord } from '../../schedule/record.ts';

/** What a worker says of itself. */
export type Said =
  /** It is in contact with etcd, and everything that it holds rests on this lease. */
  | { readonly type: 'session'; readonly lease: string }
  | { readonly type: 'health'; readonly state: HealthState }
  /** It has read the counter under the lock, has looked whether it still holds it, and its write sets out. */
  | { readonly type: 'writes'; readonly token: bigint; readonly value: number }
  /** Its work under the lock was ended by this error. */
  | { readonly type: 'failed'; readonly code: string }
  /** It contends no more. */
  | { readonly type: 'rests' }
  | { readonly type: 'holds'; readonly token: bigint }
  /** By its clock what it held was valid until here at least. Told when it is lost. */
  | { readonly type: 'lapsed'; readonly token: bigint }
  /** The signal of what it held has aborted. */
  | { readonly type: 'lost'; readonly token: bigint; readonly lease: string; readonly code: string }
  /**
   * It has asked for a lock. `code`: of the error; without one it was granted. `waitedMs`: how much of the time timers went on meanwhile, as they do
   * not in a process that is starved.
   */
  | {
      readonly type: 'asked';
      readonly code: string | undefined;
      readonly tookMs: number;
      readonly waitedMs: number;
    }
  /** It has read the config so often, one read straight after the other; the rest is of the last. */
  | {
      readonly type: 'read';
      readonly reads: number;
      readonly failed: number;
      readonly version: number | undefined;
      readonly source: ConfigSource | undefined;
      readonly ageMs: number | undefined;
      readonly tookMs: number;
    }
  /** From here on its reads give this version. */
  | { readonly type: 'serves'; readonly version: number };

type ByWorker = Said & { readonly worker: string };

/** What the resource has seen. Its order is the truth: what is written after something else meets what that has left. */
type AtResource =
  | {
      readonly type: 'wrote';
      readonly worker: string;
      readonly token: bigint;
      readonly before: number;
      readonly value: number;
    }
  | { readonly type: 'refused'; readonly resource: string; readonly token: bigint; readonly highest: bigint }
  /** A run of the job has left its mark. */
  | { readonly type: 'ran'; readonly worker: string; readonly token: bigint; readonly tick: string };

/** What etcd has done or says. */
type AtEtcd =
  | { readonly type: 'lease-ended'; readonly worker: string; readonly lease: string }
  /** How many calls it has answered since the config was set. */
  | { readonly type: 'calls'; readonly calls: number }
  /** Its record of the job. */
  | { readonly type: 'history'; readonly records: readonly JobRecord[] };

/** What the demo has done. */
type ByDemo =
  | { readonly type: 'act'; readonly act: number; readonly title: string }
  | { readonly type: 'stopped'; readonly worker: string; readonly pid: number; readonly token: bigint }
  | { readonly type: 'woken'; readonly worker: string }
  | { readonly type: 'cut' }
  | { readonly type: 'healed' }
  | { readonly type: 'set'; readonly version: number; readonly value: unknown }
  | { readonly type: 'killed'; readonly worker: string; readonly pid: number; readonly tick: string }
  /** What was waited for in vain. */
  | { readonly type: 'unseen'; readonly what: string };

export type Seen = ByWorker | AtResource | AtEtcd | ByDemo;

/** Something that was seen, and when: milliseconds since the demo began, by the machine's clock, which is the same in all its processes. */
export type Observation = Seen & { readonly atMs: number };

export type Kind = Observation['type'];

export type Of<K extends Kind> = Extract<Observation, { readonly type: K }>;

/** Those of some kinds, in the order in which they were seen. */
export function all<K extends Kind>(observations: readonly Observation[], kinds: K | readonly K[]): readonly Of<K>[] {
  const asked: readonly Kind[] = [kinds].flat();
  return observations.filter((each): each is Of<K> => asked.includes(each.type));
}
