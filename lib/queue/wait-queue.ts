import type { ClosedError } from '../errors.ts';
import type { Health } from '../health/health.ts';
import { onAbort } from '../runtime/abort.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { SessionKeeper } from '../session/keeper.ts';
import type { Keyspace } from '../session/keyspace.ts';
import type { Repetition } from '../store/repeat.ts';
import type { Store } from '../store/store.ts';
import type { Keeping, LineIdentity, QueueContext } from './custody.ts';
import { Gate } from './gate.ts';
import { GroupCommit } from './group-commit.ts';
import { Line, type JoinOptions } from './line.ts';
import { Lingering } from './lingering.ts';
import { Lookout } from './lookout.ts';
import type { Tenure } from './tenure.ts';

/** The wait queues of one coordinator: the engine under lock, semaphore, read-write lock and election. */
export class WaitQueue {
  readonly #context: QueueContext;
  readonly #lines = new Map<string, Line>();
  /** Before the lines of what several may have at once. */
  readonly #gates = new Map<string, Gate>();
  #lanes = 0;
  readonly #lookouts = new Map<string, Lookout>();
  readonly #tenures = new Set<Tenure>();
  /** Those with work under them, which can have released them and go on. */
  readonly #working = new Set<Tenure>();
  readonly #background = new Set<Promise<unknown>>();
  readonly #unsubscribe: () => void;
  readonly #closing = new AbortController();
  #closed: ClosedError | undefined;

  constructor(
    runtime: Runtime,
    store: Store,
    health: Health,
    keeper: SessionKeeper,
    keyspace: Keyspace,
    repetition: Repetition,
  ) {
    this.#context = {
      runtime,
      store,
      group: new GroupCommit(store, repetition.attemptTimeoutMs),
      health,
      repetition,
      keyspace,
      epochKey: keyspace.epoch,
      lingering: new Lingering(runtime),
      lookout: (prefix) => this.#lookout(prefix),
      session: (signal) => keeper.session(signal),
      currentSession: () => keeper.current,
      giveUp: (session, reason) => keeper.giveUp(session, reason),
      contact: async (session) => {
        session.probe();
        await untilConnected(health, session.signal);
      },
      admit: (tenure) => {
        this.#tenures.add(tenure);
        /* A try that was under way when closing began. */
        if (this.#closed !== undefined) tenure.interrupt(this.#closed);
      },
      dismiss: (tenure) => this.#tenures.delete(tenure),
      inBackground: (work) => {
        const settled = work.catch((error: unknown) => {
          runtime.logger.error('Background work failed', { event: 'queue.background', error: String(error) });
        });
        this.#background.add(settled);
        void settled.then(() => this.#background.delete(settled));
      },
    };
    this.#unsubscribe = health.subscribe(() => {
      if (health.state !== 'degraded') return;
      for (const gate of this.#gates.values()) gate.refuseWhileDegraded();
      for (const line of this.#lines.values()) line.refuseWhileDegraded();
    });
  }

  /** Aborts, with the ClosedError, when nobody is taken in any more. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Waits in the queue. */
  join(identity: LineIdentity, options: JoinOptions): Promise<Tenure> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    return identity.places === undefined
      ? this.#line(identity).join(options)
      : this.#gate(identity, identity.places).join(options, () => {
          if (this.#closed !== undefined) throw this.#closed;
          return this.#line(identity);
        });
  }

  /** Takes the queue only if nobody has it. */
  tryJoin(identity: LineIdentity, signal: AbortSignal, keeping: Keeping): Promise<Tenure | undefined> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    return this.#line(identity).tryJoin(signal, keeping);
  }

  /** What this process holds of the queue with this prefix, now; no I/O. */
  holding(prefix: string): Tenure | undefined {
    return [...this.#tenures].find((tenure) => tenure.key.startsWith(prefix) && tenure.isHeld());
  }

  /** The store has gone back to a backup: what was seen of the queues is of another history, and keys that have gone can stand again. */
  forget(): void {
    for (const lookout of this.#lookouts.values()) lookout.close();
  }

  /** Work under a tenure: a closing coordinator tells it to stop and waits for it, also if it has ended its tenure before. */
  attend(tenure: Tenure, work: Promise<unknown>): void {
    this.#working.add(tenure);
    const ended = work.then(
      () => this.#working.delete(tenure),
      () => this.#working.delete(tenure),
    );
    this.#context.inBackground(ended);
  }

  /**
   * Takes nobody in any more, refuses those who wait, tells those who hold to stop, and waits for them for at most `drainMs`. Resolves
   * with whether everything ended: only then may the lease be revoked, since what runs keeps its key until the lease ends by itself.
   */
  async close(error: ClosedError, drainMs: number): Promise<boolean> {
    this.#closed = error;
    this.#closing.abort(error);
    for (const gate of this.#gates.values()) gate.close(error);
    for (const line of this.#lines.values()) line.close(error);
    for (const tenure of new Set([...this.#tenures, ...this.#working])) tenure.interrupt(error);
    const { clock } = this.#context.runtime;
    let cancel = (): void => {};
    const inTime = await Promise.race([
      this.#drained().then(() => true),
      new Promise<boolean>((resolve) => {
        cancel = clock.schedule(drainMs, () => resolve(false));
      }),
    ]);
    cancel();
    this.forget();
    this.#unsubscribe();
    return inTime || [...this.#tenures].every((tenure) => !tenure.isHeld());
  }

  async #drained(): Promise<void> {
    while (this.#tenures.size > 0 || this.#background.size > 0) {
      await Promise.all([...[...this.#tenures].map((tenure) => tenure.ended), ...this.#background]);
    }
  }

  #lookout(prefix: string): Lookout {
    let lookout = this.#lookouts.get(prefix);
    if (lookout === undefined) {
      const { runtime, store } = this.#context;
      lookout = new Lookout(runtime, store, prefix, () => this.#lookouts.delete(prefix));
      this.#lookouts.set(prefix, lookout);
    }
    return lookout;
  }

  #gate(identity: LineIdentity, places: number): Gate {
    /* The sides of a read-write lock have each their own, and so has whoever thinks that there are more permits. */
    const id = `${identity.place ?? identity.prefix} ${places}`;
    let gate = this.#gates.get(id);
    if (gate === undefined) {
      const { runtime, health } = this.#context;
      gate = new Gate(runtime.clock, health, identity, places, () => this.#gates.delete(id));
      this.#gates.set(id, gate);
    }
    return gate;
  }

  #line(identity: LineIdentity): Line {
    /* Those who would put another value into the queue, or may have it together, need a key of their own. */
    if (identity.places !== undefined) this.#lanes += 1;
    const id = identity.places === undefined ? `${identity.prefix}${identity.value}` : String(this.#lanes);
    let line = this.#lines.get(id);
    if (line === undefined) {
      line = new Line(this.#context, identity, () => {
        this.#lines.delete(id);
      });
      this.#lines.set(id, line);
    }
    return line;
  }
}

/** Resolves when there is contact again, or when the session has ended: waiting further is of no use then. */
function untilConnected(health: Health, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (health.state !== 'connected' && !ended.aborted) return;
      unsubscribe();
      stop();
      resolve();
    };
    let stop = (): void => {};
    const unsubscribe = health.subscribe(check);
    stop = onAbort(ended, check);
    check();
  });
}
