/**
 * How a ticket leaves: so that nothing of it is left in etcd, and nothing of it can come to be there later. *Absence is not an answer*: an
 * enqueue that was not answered can be applied seconds after everybody has given up on it.
 */
import { sleep } from '../runtime/clock.ts';
import { saysLeaseIsGone, type Session } from '../session/session.ts';
import { repeat } from '../store/repeat.ts';
import type { TransactionResponse } from '../store/store.ts';
import type { TicketContext } from './ticket-context.ts';

/** How a ticket came to its end: it was deleted, or it was not there any more although nobody of ours had deleted it. */
export type Departure = 'left' | 'missing';

/** A key of ours in a queue. */
export interface OwnKey {
  readonly queue: string;
  readonly key: string;
  readonly session: Session;
  /** What stands in it, where others use its name as well: after a restore one of theirs can have come to be at the same revision. */
  readonly value?: string | undefined;
}

/** Deletes a key in its own life: never a newer one of the same name. Repeats for as long as the session lives. */
export async function withdraw(context: TicketContext, own: OwnKey, createRevision: bigint): Promise<Departure> {
  const { queue, key, session, value } = own;
  const isOurs = value === undefined ? [] : [{ key, target: 'value', is: '=', than: value } as const];
  let mayBeDone = false;
  const { succeeded } = await whileAlive(context, own, async () => {
    const unsure = mayBeDone;
    mayBeDone = true;
    const answer = await context.group.transact(session, {
      queue,
      does: 'leave',
      compare: [{ key, target: 'create', is: '=', than: createRevision }, ...isOurs],
      then: [{ type: 'delete', key }],
    });
    return { succeeded: answer.succeeded || unsure };
  });
  return succeeded ? 'left' : 'missing';
}

/** Deletes a key that nobody has seen, in case it is there: its name is used once, and no request for it is under way any more. */
export async function erase(context: TicketContext, own: OwnKey): Promise<void> {
  const { queue, key, session } = own;
  await whileAlive(context, own, () =>
    context.group.transact(session, { queue, does: 'leave', compare: [], then: [{ type: 'delete', key }] }),
  );
}

/**
 * Sees to it that an unanswered enqueue comes to nothing: one transaction rewrites the session key, so that the enqueue fails its compare
 * of the generation, and deletes the key in case it has been applied. If that cannot be had within a TTL, the session is given up,
 * which takes the lease away under whatever is applied late. The session key is compared by its existence alone: other tickets may be
 * settled at the same time.
 */
export async function settle(context: TicketContext, own: OwnKey): Promise<void> {
  const { key, session } = own;
  const { runtime, store, repetition, giveUp } = context;
  const { identity, lease } = session;
  const cancel = runtime.clock.schedule(session.ttlMs, () => {
    giveUp(session, new Error(`an unanswered request for ${key} could not be settled within a TTL`));
  });
  try {
    await whileAlive(context, own, async () => {
      const answer = await store.transact(
        {
          compare: [{ key: identity.key, target: 'create', is: '!=', than: 0n }],
          then: [
            { type: 'put', key: identity.key, value: identity.value, lease },
            { type: 'delete', key },
          ],
        },
        { timeoutMs: repetition.attemptTimeoutMs, signal: session.signal },
      );
      /* Without its key the session is lost, and says so itself. */
      if (answer.succeeded) session.advance(answer.revision);
      return answer;
    });
  } finally {
    cancel();
  }
}

/** Repeats until it is answered, or until the session has ended and its lease takes the key along. */
export async function whileAlive(
  context: TicketContext,
  { key, session }: OwnKey,
  step: () => Promise<Pick<TransactionResponse, 'succeeded'>>,
): Promise<Pick<TransactionResponse, 'succeeded'>> {
  const { runtime, repetition, contact } = context;
  for (;;) {
    try {
      return await repeat(runtime, repetition, step, {
        signal: session.signal,
        onFailure: (error) => contact(session, error),
      });
    } catch (error) {
      if (session.signal.aborted || saysLeaseIsGone(error)) return { succeeded: true };
      /* Refused for good (a permission was revoked, say). The lease's end removes the key; until then, try now and then. */
      runtime.logger.warn('A key cannot be removed yet', { event: 'queue.stuck', key, error: String(error) });
      await sleep(runtime.clock, repetition.capMs, session.signal).catch(() => {});
    }
  }
}
