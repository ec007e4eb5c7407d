/**
 * What must never be seen, whatever goes wrong. The names are those of the reliability bar:
 *
 * L1 tokens rise · L2, L3 `isHeld()` says yes only while the key is the queue's first at the server, so never twice · L4 no key is
 * left without somebody who wants it · L6 after the healing everybody gets on · D1 every call settles by its deadline.
 */
import { unpackToken } from '../queue/token.ts';
import type { Hold, Operation, Possession, Verb } from './history.ts';
import type { Machine } from './machine.ts';
import { QueueKeys, type KeyLife } from './queue-keys.ts';
import { ELECTION_MS, type World } from './world.ts';

/** How late a call may settle, in milliseconds. */
const D1_SLACK_MS = 250;

/** How long a settling may be repeated, without any fault left, in milliseconds: the longest waits between attempts, and a way there and back. */
const SETTLED_MS = 2_500;

export class Invariants {
  /** How many locks ended under their holders. */
  losses = 0;
  readonly #world: World;
  readonly #keys: QueueKeys;
  /** Holds of which it is not yet certain that they are over. */
  readonly #watched = new Set<Hold>();
  readonly #holdOf = new Map<Possession, Hold>();
  /** By queue: the greatest token that any acquire has returned. */
  readonly #highest = new Map<string, bigint>();
  /** By operation: what {@link #highest} was when it began. */
  readonly #floors = new Map<Operation, ReadonlyMap<string, bigint>>();
  /** By machine and queue: how many calls and holds are interested, and since when nobody is. */
  readonly #interest = new Map<string, { count: number; sinceMs: number }>();
  #zombiesLookedForAtMs = 0;
  /** When somebody last took keys away: what was asked for before can be granted although it is gone. */
  #doomedAtMs: number = Number.NEGATIVE_INFINITY;
  /** When etcd was last restored: then even the revision of another key can be the same. */
  #restoredAtMs: number = Number.NEGATIVE_INFINITY;

  constructor(world: World) {
    this.#world = world;
    this.#keys = new QueueKeys(world, (life) => this.#checkBirth(life));
  }

  /** When somebody last took keys away, or replaced the store. */
  get doomedAtMs(): number {
    return this.#doomedAtMs;
  }

  begin(machine: Machine, verb: Verb, queues: readonly string[], withinMs: number | undefined): Operation {
    const operation = this.#world.history.begin(machine, verb, queues, withinMs);
    this.#floors.set(operation, new Map(this.#highest));
    for (const queue of queues) this.#interestIn(machine, queue).count += 1;
    return operation;
  }

  end(operation: Operation, outcome: string): void {
    this.#world.history.end(operation, outcome);
    this.#floors.delete(operation);
    for (const queue of operation.queues) this.#loseInterest(operation.machine, queue);
    this.#checkDue(operation);
  }

  /** `askedAtMs`: when this very grant was asked for, where that is not when the call began. */
  granted(operation: Operation, queue: string, held: Possession, askedAtMs: number = operation.startedAtMs): Hold {
    const { history, nowMs } = this.#world;
    const { machine } = operation;
    const { token } = held;
    history.note(machine.name, `#${operation.id} has ${queue} with ${token}`);
    const { revision, handoff } = unpackToken(token);
    /* What is passed on is known to be ours since the key was first granted: what has befallen it in between has befallen this holder. */
    const first =
      handoff === 0
        ? undefined
        : history.holds.find((each) => each.machine === machine && each.queue === queue && each.revision === revision);
    const startedAtMs = first?.startedAtMs ?? askedAtMs;
    const floor = this.#floors.get(operation)?.get(queue) ?? 0n;
    /* A restore reaches whoever has a key when it is told, and until then what passes it on. */
    const isOfThePast = handoff > 0 && startedAtMs <= this.#restoredAtMs;
    if (token <= floor && !isOfThePast)
      history.violate('L1 tokens rise', `${machine.name} got ${token} for ${queue} after ${floor} had been returned`);
    if (token > (this.#highest.get(queue) ?? 0n)) this.#highest.set(queue, token);
    const hold: Hold = {
      id: operation.id,
      machine,
      queue,
      held,
      revision,
      startedAtMs,
      grantedAtMs: nowMs,
      releasedAtMs: undefined,
      ended: false,
      doomed:
        startedAtMs <= this.#restoredAtMs ||
        (startedAtMs <= this.#doomedAtMs && this.#world.ownerOf(queue) !== revision),
    };
    this.#checkOthersKnow(hold);
    history.holds.push(hold);
    this.#watched.add(hold);
    this.#holdOf.set(held, hold);
    this.#interestIn(machine, queue).count += 1;
    return hold;
  }

  /** A try found the lock taken: somebody must have had it, or waited for it, at some time while it ran. */
  refused(operation: Operation): void {
    const [queue = ''] = operation.queues;
    const { history } = this.#world;
    const { machine, startedAtMs } = operation;
    this.#keys.read();
    const others = history.operations.filter(
      (other) =>
        other !== operation &&
        other.machine === machine &&
        other.queues.includes(queue) &&
        (other.settledAtMs ?? Infinity) >= startedAtMs,
    );
    const holds = history.holds.filter(
      (hold) => hold.machine === machine && hold.queue === queue && (hold.releasedAtMs ?? Infinity) >= startedAtMs,
    );
    const keys = this.#keys.during(queue, startedAtMs);
    if (others.length === 0 && holds.length === 0 && keys.length === 0) {
      history.violate(
        'a try is refused only if somebody has the lock',
        `${machine.name} #${operation.id} found ${queue} taken`,
      );
    }
  }

  /** The holder does not rely on it any more. */
  letGo(held: Possession): void {
    const hold = this.#holdOf.get(held);
    if (hold !== undefined) hold.releasedAtMs ??= this.#world.nowMs;
  }

  /** Somebody takes keys away by hand, or the whole store is replaced: whoever holds is not told in time. */
  doom(which: (hold: Hold) => boolean): void {
    this.#doomedAtMs = this.#world.nowMs;
    for (const hold of this.#watched) if (which(hold)) hold.doomed = true;
  }

  restored(): void {
    this.#keys.rebuild();
    this.#restoredAtMs = this.#world.nowMs;
    this.doom(() => true);
  }

  /** Looks at everything, at one instant. */
  look(): void {
    this.#keys.read();
    const changed = this.#keys.takeChanged();
    for (const hold of this.#watched) {
      if (this.#world.asksAlways || changed.has(hold.queue) || hold.releasedAtMs !== undefined) this.#checkHold(hold);
    }
    if (this.#world.nowMs - this.#zombiesLookedForAtMs >= 250) {
      this.#zombiesLookedForAtMs = this.#world.nowMs;
      this.#checkZombies();
    }
  }

  /** Calls that have not settled although they should have. */
  checkPending(): void {
    for (const operation of this.#world.history.operations) {
      if (operation.settledAtMs === undefined && operation.machine.state !== 'killed') this.#checkDue(operation);
    }
  }

  #checkHold(hold: Hold): void {
    const { history } = this.#world;
    const { machine, queue, held } = hold;
    const isHeld = held.isHeld();
    if (!isHeld) {
      if (!hold.ended) this.#loseInterest(machine, queue);
      if (!hold.ended && hold.releasedAtMs === undefined) this.losses += 1;
      hold.ended = true;
      if (hold.releasedAtMs !== undefined || machine.isGone) this.#watched.delete(hold);
      return;
    }
    if (hold.ended) {
      history.violate('what was lost is never revived', `${machine.name} #${hold.id} holds ${queue} again`);
      hold.ended = false;
      this.#interestIn(machine, queue).count += 1;
    }
    if (hold.doomed) return;
    const owner = this.#world.ownerOf(queue);
    if (owner !== hold.revision) {
      hold.doomed = true;
      history.violate(
        'L3 held means first in the queue',
        `${machine.name} #${hold.id} believes to hold ${queue} by ${hold.revision}, the owner is ${owner}`,
      );
    }
  }

  /** Who lost the key by somebody's hand, or by a restore, is told by the audit at the latest. */
  #checkDoomed(hold: Hold): void {
    const { cluster, history, nowMs, setup } = this.#world;
    const { machine, queue, id, held, revision } = hold;
    const quietMs =
      nowMs - Math.max(this.#doomedAtMs, machine.faultyUntilMs, this.#world.troubledUntilMs, hold.grantedAtMs);
    if (!hold.doomed || hold.ended || quietMs < 2 * setup.ttlMs || !machine.ranSince(nowMs - quietMs)) return;
    const stands = cluster
      .entries(this.#world.prefixOf(queue))
      .some(({ createRevision }) => createRevision === revision);
    if (stands || !held.isHeld()) return;
    hold.ended = true;
    history.violate('who lost a key is told', `${machine.name} #${id} still holds ${queue} after ${quietMs} ms`);
  }

  /** Whoever held it before knows by now, if its event loop has been running: its signal aborted before somebody else got it. */
  #checkOthersKnow(hold: Hold): void {
    const { history, setup, nowMs } = this.#world;
    if (hold.doomed) return;
    for (const before of this.#watched) {
      if (before.queue !== hold.queue || before.releasedAtMs !== undefined || before.doomed) continue;
      /* The signal first: to ask whether it holds would tell it. */
      const isTold = before.held.signal.aborted || !before.machine.ranSince(nowMs - setup.ttlMs);
      if (before.held.isHeld()) {
        history.violate(
          'L2 one holder at a time',
          `${before.machine.name} #${before.id} and ${hold.machine.name} #${hold.id} hold ${hold.queue}`,
        );
      } else if (!isTold) {
        history.violate(
          'a holder is told before the next one has it',
          `${before.machine.name} #${before.id} of ${hold.queue}`,
        );
      }
    }
  }

  #checkDue(operation: Operation): void {
    const { dueAtMs, machine, startedAtMs, id, verb } = operation;
    const { history, nowMs } = this.#world;
    const endMs = operation.settledAtMs ?? nowMs;
    if (dueAtMs === undefined) return;
    const lateMs = endMs - dueAtMs - machine.stoppedMs(startedAtMs, endMs);
    if (lateMs > D1_SLACK_MS) {
      history.violate(
        'D1 every call settles by its deadline',
        `${machine.name} #${id} ${verb} was ${lateMs} ms late (${operation.outcome})`,
      );
      operation.dueAtMs = undefined;
    }
  }

  #checkZombies(): void {
    const { history, setup, nowMs, troubledUntilMs } = this.#world;
    for (const hold of this.#watched) this.#checkDoomed(hold);
    for (const life of this.#keys.alive) {
      const { machine, queue, sinceMs: bornAtMs } = life;
      if (machine === undefined || life.reported) continue;
      const interest = this.#interest.get(`${machine.name} ${queue}`);
      if (interest !== undefined && interest.count > 0 && !machine.isGone) continue;
      const sinceMs = Math.max(interest?.sinceMs ?? 0, bornAtMs, troubledUntilMs, machine.faultyUntilMs);
      /* What a restore brought back is noticed within a TTL, and its lease is then left to its own end, another TTL later. */
      const leases = sinceMs - this.#restoredAtMs < setup.ttlMs ? 2 : 1;
      if (
        nowMs - sinceMs > leases * setup.ttlMs + ELECTION_MS + 1_000 &&
        (machine.state === 'killed' || machine.ranSince(sinceMs))
      ) {
        life.reported = true;
        history.violate(
          'L4 no key is left that nobody wants',
          `${life.key} of ${machine.name}, for ${nowMs - sinceMs} ms`,
        );
      }
    }
  }

  /**
   * A request that was late on its way comes to nothing once its ticket has been settled, which takes no longer than a few attempts
   * after the last fault.
   */
  #checkBirth({ key, queue, machine }: KeyLife): void {
    /* What the network sends a second time can be taken where the first was refused, or has left: until the audit. */
    if (machine === undefined || machine.repeatsItself) return;
    const interest = this.#interestIn(machine, queue);
    const sinceMs = Math.max(interest.sinceMs, machine.faultyUntilMs);
    const { nowMs, history } = this.#world;
    if (interest.count > 0 || !machine.ranSince(sinceMs)) return;
    if (nowMs - sinceMs > machine.options.timeoutMs + SETTLED_MS) {
      history.violate(
        'L4 what is applied late comes to nothing',
        `${key} of ${machine.name}, ${nowMs - sinceMs} ms after`,
      );
    }
  }

  #interestIn(machine: Machine, queue: string): { count: number; sinceMs: number } {
    const name = `${machine.name} ${queue}`;
    const interest = this.#interest.get(name) ?? { count: 0, sinceMs: 0 };
    this.#interest.set(name, interest);
    return interest;
  }

  #loseInterest(machine: Machine, queue: string): void {
    const interest = this.#interestIn(machine, queue);
    interest.count -= 1;
    interest.sinceMs = this.#world.nowMs;
  }
}
