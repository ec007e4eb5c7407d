/**
 * Looks at who stands before a key that has waited for long, and warns of whoever has not moved: a holder that is stuck or was forgotten,
 * and a key whose session is gone, which holds others up until its lease ends.
 *
 * For people only: nothing is decided by it. It looks after half a minute or a little more, then at twice the distance each time, up to an hour; one call or
 * two each. Somebody is warned of who stood there at two looks in a row, so by no clock but ours.
 */
import { sleep } from '../runtime/clock.ts';
import { withinDeadline } from '../runtime/deadline.ts';
import { tell } from '../runtime/diagnostics.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Keyspace } from '../session/keyspace.ts';
import type { Repetition } from '../store/repeat.ts';
import type { Store } from '../store/store.ts';
import { inspectRivals, type Contender } from './inspect.ts';
import { queueNamed } from './narration.ts';

const FIRST_LOOK_MS = 30_000;
const RAREST_LOOK_MS = 3_600_000;

export interface VigilContext {
  readonly runtime: Runtime;
  readonly store: Store;
  readonly repetition: Repetition;
  readonly keyspace: Keyspace;
}

/** What is waited for, and behind which key. */
export interface Wait {
  /** For messages: `lock "invoice:42"`. */
  readonly shown: string;
  readonly queue: string;
  /** The prefix of the keys that are waited for. */
  readonly rivals: string;
  readonly createRevision: bigint;
  /** Whoever has it is expected to give it up before long: not so a leader. */
  readonly isForShort: boolean;
}

/** Goes on until the signal aborts. Never rejects. */
export async function keepVigil(context: VigilContext, wait: Wait, signal: AbortSignal): Promise<void> {
  const { clock } = context.runtime;
  let before: readonly Contender[] = [];
  let waitedMs = 0;
  for (let pauseMs = FIRST_LOOK_MS * spread(wait.createRevision); ; pauseMs = Math.min(2 * pauseMs, RAREST_LOOK_MS)) {
    try {
      await sleep(clock, pauseMs, signal);
      waitedMs += pauseMs;
      const reading = { ...context, prefix: wait.rivals };
      const seen = await withinDeadline(clock, FIRST_LOOK_MS, signal, (within) =>
        inspectRivals({ ...reading, signal: within }, wait.createRevision),
      );
      warn(context, wait, { before, seen }, waitedMs);
      before = seen;
    } catch {
      if (signal.aborted) return;
      /* Health tells of an outage, and who stood there before it need not have stood there all the time. */
      before = [];
    }
  }
}

/** From 1 to 1.5. Who came at the same time has a revision of its own, so that a herd does not look as one; at the same time in each run. */
function spread(createRevision: bigint): number {
  return 1 + Number(createRevision % 64n) / 128;
}

interface Looks {
  readonly before: readonly Contender[];
  readonly seen: readonly Contender[];
}

function warn({ runtime }: VigilContext, wait: Wait, { before, seen }: Looks, waitedMs: number): void {
  const { kind, name } = queueNamed(wait.queue);
  const say = (is: 'zombie' | 'held-long', who: Contender, message: string): void => {
    const { instanceId, lease, key } = who;
    const askedAt = who.askedAt?.toISOString();
    runtime.logger.warn(message, { event: `queue.${is}`, kind, name, waitedMs, instanceId, lease, askedAt, key });
    tell('stuck', { kind, name, is, waitedMs, lease });
  };
  const known = new Set(before.map(({ key }) => key));
  for (const zombie of seen.filter((each) => known.has(each.key) && isZombie(each))) {
    say(
      'zombie',
      zombie,
      `A key of lease ${zombie.lease}, whose session is gone, stands before us in ${wait.shown}. It goes with its lease; to let others on at ` +
        `once: etcdctl lease revoke ${zombie.lease}`,
    );
  }
  const [first] = seen;
  /* Who only waited at the look before has had no time to be slow. */
  if (!wait.isForShort || first === undefined || first.key !== before[0]?.key || isZombie(first)) return;
  const { instanceId = `lease ${first.lease}`, askedAt } = first;
  const since = askedAt === undefined ? '' : `, who asked for it at ${askedAt.toISOString()} by its clock`;
  say(
    'held-long',
    first,
    `${wait.shown} has been waited for for ${waitedMs} ms; in front now as before is ${instanceId}${since}`,
  );
}

/** A key of ours says when it was asked for; who it is stands on the session. */
function isZombie({ instanceId, askedAt }: Contender): boolean {
  return askedAt !== undefined && instanceId === undefined;
}
