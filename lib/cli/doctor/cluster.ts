import { elapsedMs, type Clock } from '../../runtime/clock.ts';
import type { Keyspace } from '../../session/keyspace.ts';
import { StoreError } from '../../store/store-error.ts';
import type { CallOptions, Store, Transaction } from '../../store/store.ts';
import type { Finding } from './finding.ts';

export interface Examination {
  readonly clock: Clock;
  readonly store: Store;
  readonly keyspace: Keyspace;
  readonly ttlMs: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const ROUNDS = 10;

/** Below which a user has to be able to write. */
const KINDS = ['session', 'lock', 'election', 'config', 'cache', 'registry', 'partition'] as const;

/** A write that is never made, and yet needs what a write needs: permission, and space. No key was made before the beginning. */
function neverWritten(key: string): Transaction {
  return {
    compare: [{ key, target: 'create', is: '<', than: 0n }],
    then: [{ type: 'put', key, value: '' }],
  };
}

/** How long a round trip through raft takes, against what a session has. */
export async function examineLatency({
  clock,
  store,
  keyspace,
  ttlMs,
  timeoutMs,
  signal,
}: Examination): Promise<Finding> {
  const tookMs: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const since = clock.now();
    await store.transact(neverWritten(`${keyspace.kind('lock')}doctor`), { timeoutMs, signal });
    tookMs.push(elapsedMs(since, clock.now()));
  }
  const [fastest, slowest] = [Math.min(...tookMs), Math.max(...tookMs)];
  const fact = `a round trip through raft takes ${fastest.toFixed(1)} to ${slowest.toFixed(1)} ms in ${ROUNDS}`;
  const about = 'latency';
  if (slowest > ttlMs / 4) {
    const advice = `A renewal has ${ttlMs / 4} ms with a TTL of ${ttlMs}. Raise the TTL, or look at etcd's disk and network.`;
    return { about, level: 'problem', fact, advice };
  }
  if (slowest > ttlMs / 20) {
    const advice = `That is much of the margin of ${ttlMs / 10} ms which a TTL of ${ttlMs} has. Look at etcd's disk, or raise the TTL.`;
    return { about, level: 'warning', fact, advice };
  }
  return { about, level: 'fine', fact };
}

/** Whether the user may do what a coordinator does, and whether etcd has space for it. */
export async function examineWriting({ store, keyspace, timeoutMs, signal }: Examination): Promise<readonly Finding[]> {
  const denied: string[] = [];
  for (const kind of KINDS) {
    const prefix = keyspace.kind(kind);
    try {
      await store.transact(neverWritten(`${prefix}doctor`), { timeoutMs, signal });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.reason === 'quota') {
        return [
          {
            about: 'space',
            level: 'problem',
            fact: "etcd's space quota is exceeded: it takes no writes. What is held stays held",
            advice: 'Compact, defragment, and disarm the alarm: etcdctl alarm list; etcdctl alarm disarm.',
          },
        ];
      }
      if (error.reason === 'unauthenticated') {
        return [
          {
            about: 'access',
            level: 'problem',
            fact: `etcd does not let us in: ${error.message}`,
            advice: 'It asks who is there. Check --username, and its password in --password-file or HOLDFAST_PASSWORD.',
          },
        ];
      }
      if (error.reason !== 'denied') throw error;
      denied.push(prefix);
    }
  }
  if (denied.length === 0) return [{ about: 'access', level: 'fine', fact: 'the user may write in the namespace' }];
  return [
    {
      about: 'access',
      level: 'problem',
      fact: `the user may not write below ${denied.join(', ')}`,
      advice: 'Grant the role readwrite on the prefix of the namespace: see SECURITY.md.',
    },
  ];
}

/** How far history goes back: a reader that was away for longer lists again. */
export async function examineHistory({ store, keyspace, timeoutMs, signal }: Examination): Promise<Finding> {
  const call = { timeoutMs, signal };
  const { revision } = await store.range({ key: keyspace.epoch }, call);
  const begun = await oldest(store, keyspace.epoch, revision, call);
  const span = revision - begun;
  const about = 'history';
  const fact = `etcd keeps ${span} revisions of history, from ${begun} to ${revision}`;
  if (begun > 1n && span < 100n) {
    const advice =
      'Readers that lose their connection list again, each of them. Let etcd compact by the hour: --auto-compaction-retention=1h.';
    return { about, level: 'note', fact, advice };
  }
  return { about, level: 'fine', fact };
}

/** The first revision that can still be read, by halving: a watch of the past says that it has begun before it says that the past is gone. */
async function oldest(store: Store, key: string, newest: bigint, call: CallOptions): Promise<bigint> {
  let [from, to] = [1n, newest];
  while (from < to) {
    const middle = (from + to) / 2n;
    if (await isReadable(store, key, middle, call)) to = middle;
    else from = middle + 1n;
  }
  return from;
}

async function isReadable(store: Store, key: string, revision: bigint, call: CallOptions): Promise<boolean> {
  try {
    await store.range({ key, revision, countOnly: true }, call);
    return true;
  } catch (error) {
    if (error instanceof StoreError && error.reason === 'compacted') return false;
    throw error;
  }
}
