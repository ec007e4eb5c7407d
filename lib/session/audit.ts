import type { Runtime } from '../runtime/runtime.ts';
import type { Store } from '../store/store.ts';
import { rangeThroughRaft } from '../store/through-raft.ts';
import type { Session } from './session.ts';

export interface AuditOptions {
  readonly attemptTimeoutMs: number;
  /** How many answered renewals pass between two audits. */
  readonly everyRenewals: number;
}

/**
 * Compares what etcd has on the session's lease with what local operations own. It finds what nothing else can: a key whose enqueue
 * was applied after everybody had given up on it, an own key that was deleted unseen, and, by an answer that went through raft, a
 * store that was restored behind our back. Runs every few renewals, and at once when contact is back after a failure.
 *
 * 1. A transaction with a delete that is never taken goes through raft, so its revision is a proof; see revision-floor.ts.
 * 2. The keys on the lease are listed. An answer to this may be stale, so it convicts nobody:
 * 3. a key that no operation owned, before or after, is deleted in the life in which it was found, so that is safe whenever it happens;
 * 4. an own key that is not listed is looked up by a transaction of the kind of step 1, and lost if it is not there.
 */
export function auditSession(runtime: Runtime, store: Store, session: Session, options: AuditOptions): void {
  let renewals = 0;
  let running = false;
  session.onRenewed = (afterFailure) => {
    renewals += 1;
    if (running || (!afterFailure && renewals % options.everyRenewals !== 0)) return;
    running = true;
    audit(store, session, options)
      .catch((error: unknown) => {
        if (session.signal.aborted) return;
        runtime.logger.debug('An audit of the session was cut short', { event: 'session.audit', error: String(error) });
      })
      .finally(() => {
        running = false;
      });
  };
}

async function audit(store: Store, session: Session, { attemptTimeoutMs }: AuditOptions): Promise<void> {
  const call = { timeoutMs: attemptTimeoutMs, signal: session.signal };
  const { key: sessionKey } = session.identity;

  /* 1 */
  if (!(await exists(sessionKey))) {
    session.lose(new Error('the session key is not in etcd any more'));
    return;
  }
  /* 2 */
  const before = new Map([...session.owners.values()].map((owner) => [owner.key, owner.createRevision]));
  const { keys } = await store.leaseKeys(session.lease, call);
  const listed = new Set(keys);
  /* 3 */
  for (const key of listed) {
    if (key.startsWith(sessionKey) || before.has(key) || session.owners.has(key)) continue;
    const [entry] = (await store.range({ key, keysOnly: true }, call)).entries;
    /* Some names are used again: by now it can be another life of the key, ours or somebody else's. */
    if (entry?.lease !== session.lease || session.owners.has(key)) continue;
    const isThisLife = { key, target: 'create', is: '=', than: entry.createRevision } as const;
    await store.transact({ compare: [isThisLife], then: [{ type: 'delete', key }] }, call);
  }
  /* 4 */
  for (const [key, createRevision] of before) {
    if (listed.has(key) || createRevision === undefined) continue;
    if (await exists(key, createRevision)) continue;
    const owner = session.owners.get(key);
    if (owner?.createRevision === createRevision)
      owner.lost(new Error('its key is not in etcd any more: somebody removed it'));
  }

  async function exists(key: string, createRevision?: bigint): Promise<boolean> {
    const { responses } = await store.transact(rangeThroughRaft({ key }), call);
    const [range] = responses;
    if (range?.type !== 'range') return false;
    return range.entries.some((entry) => createRevision === undefined || entry.createRevision === createRevision);
  }
}
