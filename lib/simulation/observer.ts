import type { Leader } from '../election/leader.ts';
import { AccessDeniedError } from '../errors.ts';
import { unpackToken } from '../queue/token.ts';
import { sleep } from '../runtime/clock.ts';
import type { Machine } from './machine.ts';
import { isReign, type Reign, type Reigns } from './reigns.ts';
import type { World } from './world.ts';

/** One who observes an election on a machine. E3: what it is told is an ordered subsequence of the reigns, absence included. */
export class Observer {
  readonly machine: Machine;
  readonly #world: World;
  readonly #reigns: Reigns;
  /** How many reigns are behind what it was told last. */
  #position = 0;
  #told: { readonly revision: bigint; readonly value: string } | undefined;
  #wasTold = false;

  constructor(world: World, machine: Machine, reigns: Reigns) {
    this.#world = world;
    this.machine = machine;
    this.#reigns = reigns;
    void this.#observe().catch((error: unknown) => {
      world.history.violate('an observer ends only with its coordinator', `${machine.name}: ${String(error)}`);
    });
  }

  /** It knows how things are. */
  get isCurrent(): boolean {
    const { last } = this.#reigns;
    return this.#wasTold && last !== undefined && isReign(last, this.#told);
  }

  /** Begins anew when it was refused, and is then told again of what it knows. */
  async #observe(): Promise<void> {
    const { coordinator, host } = this.machine;
    for (;;) {
      try {
        for await (const leader of coordinator.election(this.#world.election).observe()) this.#hear(leader);
        return;
      } catch (error) {
        if (!(error instanceof AccessDeniedError) || !this.machine.wasRefused) throw error;
      }
      this.#position = Math.max(0, this.#position - 1);
      await sleep(host, 500);
      if (this.machine.state !== 'up') return;
    }
  }

  #hear(leader: Leader | undefined): void {
    const { history } = this.#world;
    this.#told = leader && { revision: unpackToken(leader.token).revision, value: leader.value };
    this.#wasTold = true;
    const shown = leader === undefined ? 'nobody' : `${leader.instanceId ?? '?'} ${leader.value} ${leader.token}`;
    history.note(this.machine.name, `is told of ${shown}`);
    this.#reigns.read();
    const all = this.#reigns.all;
    const isIt = (reign: Reign): boolean => isReign(reign, this.#told);
    let found = all.findIndex((reign, index) => index >= this.#position && isIt(reign));
    /* A list that a server with stale reads answers after a restore can be of any revision. */
    if (found === -1 && this.machine.readsStale) found = all.findLastIndex(isIt);
    if (found === -1) {
      history.violate(
        'E3 an observer is told of the leaders there were, in order',
        `${this.machine.name} was told of ${shown}, ${all.some(isIt) ? 'out of order' : 'who never led'}`,
      );
      return;
    }
    this.#position = found + 1;
  }
}
