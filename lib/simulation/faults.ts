/** Everything that can go wrong, by name. */
import type { Call } from '../store/memory/call.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import type { Calls } from './calls.ts';
import type { Invariants } from './invariants.ts';
import type { Machine } from './machine.ts';
import type { World } from './world.ts';

/** Takes the fault back. */
type Undo = () => void;

/** What a fault may ask of whoever makes it. */
export interface Hands {
  readonly calls: Calls;
  readonly invariants: Invariants;
  /** Whether this run suspends machines; one that does sets no wall clock back. */
  readonly suspends: boolean;
  /** Ends a process, and starts another in its place. */
  replace(machine: Machine, end: () => Promise<void>): void;
  /** The operator restores a backup as the book says: nobody sees it before its epoch has been raised. */
  restore(world: World): void;
}

export interface Scene {
  readonly world: World;
  readonly random: SeededRandom;
  readonly machine: Machine;
  readonly nemesis: Hands;
}

export type Fault = (scene: Scene) => Undo | undefined;

const some = (random: SeededRandom): number => random.pick([0.2, 0.5, 1]);

/** Calls of one kind, or all. */
function kindOf(random: SeededRandom): (call: Call) => boolean {
  const method = random.pick([
    undefined,
    undefined,
    'transact',
    'renew',
    'range',
    'grant',
    'revoke',
    'leaseKeys',
    'watch',
  ] as const);
  return (call) => method === undefined || call.method === method;
}

/** What is parked arrives in any order, some of it when everybody has long forgotten it. */
function releaseLater(world: World, random: SeededRandom, { store: { faults } }: Machine): void {
  for (const { id } of faults.parked) {
    const delayMs = random.integer(0, 3 * world.setup.ttlMs);
    world.trouble(world.nowMs + delayMs);
    world.clock.schedule(delayMs, () => faults.releaseParked((call) => call.id === id));
  }
}

const HOUR_MS = 3_600_000;

/** Where one clock at a time is to be wrong, it is that of the machine whose clock is. */
function setClock(world: World, machine: Machine, byMs: number): void {
  const wrong = world.setup.oneClock ? world.up.find((each) => each.clockTouchedAtMs > 0) : undefined;
  const { host } = wrong ?? machine;
  (wrong ?? machine).clockTouchedAtMs = world.nowMs;
  host.jumpWall(byMs);
}

const NETWORK = {
  'requests are lost': ({ machine, random }) => {
    const share = some(random);
    const isMeant = kindOf(random);
    return machine.store.faults.onRequest((call) => (isMeant(call) && random.chance(share) ? 'drop' : undefined));
  },
  'answers are lost': ({ machine, random }) => {
    const share = some(random);
    const isMeant = kindOf(random);
    return machine.store.faults.onResponse((call) => (isMeant(call) && random.chance(share) ? 'drop' : undefined));
  },
  'connections break after the request': ({ machine, random }) => {
    const share = some(random);
    return machine.store.faults.onResponse(() => (random.chance(share) ? 'break' : undefined));
  },
  'connections are refused': ({ machine, random }) => {
    const share = some(random);
    return machine.store.faults.onRequest(() => (random.chance(share) ? 'refuse' : undefined));
  },
  'requests are parked': ({ world, machine, random }) => {
    const share = some(random);
    const isMeant = kindOf(random);
    const { faults } = machine.store;
    const undo = faults.onRequest((call) => (isMeant(call) && random.chance(share) ? 'park' : undefined));
    return () => {
      undo();
      releaseLater(world, random, machine);
    };
  },
  'a transaction is parked for long': ({ world, machine, random }) => {
    const undo = machine.store.faults.nextRequest('transact', 'park');
    return () => {
      undo();
      releaseLater(world, random, machine);
    };
  },
  'requests are slow': ({ world, machine, random }) => {
    const isMeant = kindOf(random);
    const slowest = random.pick([100, 1_000, world.setup.ttlMs]);
    return machine.store.faults.onRequest((call) => {
      if (!isMeant(call)) return undefined;
      const delayMs = random.integer(0, slowest);
      world.trouble(world.nowMs + delayMs);
      return { delayMs };
    });
  },
  'answers are slow': ({ world, machine, random }) => {
    const isMeant = kindOf(random);
    const slowest = random.pick([100, 1_000, world.setup.ttlMs]);
    return machine.store.faults.onResponse((call) =>
      isMeant(call) ? { delayMs: random.integer(0, slowest) } : undefined,
    );
  },
  'requests arrive twice': ({ world, machine, random }) => {
    const share = some(random);
    machine.repeatsItself = true;
    return machine.store.faults.onRequest((call) => {
      if (call.method === 'watch' || !random.chance(share)) return undefined;
      const duplicateAfterMs = random.integer(0, world.setup.ttlMs);
      world.trouble(world.nowMs + duplicateAfterMs);
      return { duplicateAfterMs };
    });
  },
  'a machine is cut off': ({ machine }) => machine.store.faults.cutOff(),
  'watches are held back': ({ machine }) => {
    const undo = machine.store.faults.onWatch(() => 'hold');
    return () => {
      undo();
      machine.store.faults.releaseWatches();
    };
  },
  'watches break': ({ machine, random }) => {
    const share = some(random);
    /* A stopped process does not notice anything. */
    return machine.store.faults.onWatch(() => (!machine.host.isStopped && random.chance(share) ? 'break' : undefined));
  },
  'watches repeat themselves': ({ machine }) => machine.store.faults.onWatch(() => 'duplicate'),
  'reads are stale': ({ machine, random }) => {
    machine.readsStale = true;
    return machine.store.faults.onRequest((call) =>
      call.method === 'range' && random.chance(0.5) ? { staleBy: random.integer(1, 20) } : undefined,
    );
  },
  /* What is believed is then as far from what is true as it can be. It takes its own time: shorter than a lease it would show nothing. */
  'renewals are slow, then a machine is cut off': ({ world, machine, random }) => {
    const { ttlMs, timeoutMs } = world.setup;
    const { faults } = machine.store;
    const delayMs = 0.9 * Math.min(timeoutMs, ttlMs / 4);
    const undo = faults.onResponse((call) => (call.method === 'renew' ? { delayMs } : undefined));
    const recover = machine.suffer();
    const cutAfterMs = random.integer(ttlMs / 3, ttlMs);
    world.clock.schedule(cutAfterMs, () => {
      /* What is healed stays whole. */
      const restore = world.healedAtMs === undefined ? faults.cutOff() : () => {};
      world.clock.schedule(1.3 * ttlMs, () => {
        undo();
        restore();
        recover();
        world.trouble();
      });
    });
    world.trouble(world.nowMs + cutAfterMs + 1.3 * ttlMs);
    return undefined;
  },
  'watches are cut': ({ machine }) => {
    machine.host.schedule(0, () => machine.store.faults.disconnectWatches());
    return undefined;
  },
} satisfies Readonly<Record<string, Fault>>;

const SERVER = {
  'etcd stands still': ({ world, random }) => {
    world.cluster.stop('freeze');
    const newLeader = random.chance(0.5);
    return () => world.cluster.start({ newLeader });
  },
  'etcd crashes': ({ world }) => {
    world.cluster.stop('crash');
    return () => world.cluster.start();
  },
  'another member leads': ({ world }) => {
    world.cluster.elect();
    return undefined;
  },
  'history is compacted': ({ world }) => {
    try {
      world.cluster.compact();
    } catch {
      /* Nothing new to compact. */
    }
    return undefined;
  },
  'the space quota is exceeded': ({ world }) => {
    world.cluster.exceedQuota({ takesOneMore: true });
    return () => world.cluster.disarmQuota();
  },
  'watches show progress': ({ world }) => {
    world.cluster.reportProgress();
    return undefined;
  },
} satisfies Readonly<Record<string, Fault>>;

const HOST = {
  'a process is paused': ({ machine }) => {
    machine.stop('pause');
    return () => machine.resume();
  },
  'an event loop is blocked': ({ world, machine, random }) => {
    machine.stop('pause');
    world.clock.schedule(random.integer(10, 600), () => machine.resume());
    return undefined;
  },
  /* Not together with a wall clock that is set back: a machine that loses both clocks cannot know that time has passed. */
  'a machine is suspended or its clock set back': ({ world, machine, random, nemesis }) => {
    if (nemesis.suspends) {
      machine.stop('suspend');
      return () => machine.resume();
    }
    setClock(world, machine, -random.pick([100, 2_000, HOUR_MS]));
    return undefined;
  },
  'a wall clock is set forward': ({ world, machine, random }) => {
    setClock(world, machine, random.pick([100, 1_000, HOUR_MS]));
    return undefined;
  },
  'a process is killed': ({ machine, nemesis }) => {
    nemesis.replace(machine, async () => machine.kill());
    return undefined;
  },
  'a process is restarted': ({ machine, nemesis, random }) => {
    const drainMs = random.pick([0, 300, 2_000]);
    nemesis.replace(machine, () => nemesis.calls.close(machine, drainMs));
    return undefined;
  },
} satisfies Readonly<Record<string, Fault>>;

const HANDS = {
  'a key is deleted by hand': ({ world, random, nemesis }) => {
    /* What is written down of ticks is all that is known of them: who deletes it takes T2 into their own hands. */
    const isLeftAlone = (key: string): boolean => key === 'sim/epoch' || key.startsWith('sim/schedule-job/');
    const entries = world.cluster.entries('sim/').filter(({ key }) => !isLeftAlone(key));
    if (entries.length === 0) return undefined;
    nemesis.invariants.doom(() => true);
    world.cluster.delete(random.pick(entries).key);
    return undefined;
  },
  'a lease is revoked by hand': ({ world, random, nemesis }) => {
    const { leases } = world.cluster;
    if (leases.length === 0) return undefined;
    nemesis.invariants.doom(() => true);
    world.cluster.revoke(random.pick(leases));
    return undefined;
  },
  'etcd is restored': ({ world, nemesis }) => {
    nemesis.restore(world);
    return undefined;
  },
} satisfies Readonly<Record<string, Fault>>;

/** Those that come more often stand more often. */
export const KINDS: readonly Readonly<Record<string, Fault>>[] = [NETWORK, NETWORK, NETWORK, SERVER, HOST, HOST, HANDS];

export const CLOCK_AHEAD: Fault = HOST['a wall clock is set forward'];

/** All of them, by name. */
export const FAULTS: readonly string[] = [...new Set(KINDS.flatMap((kind) => Object.keys(kind)))];

/** Faults of one machine are its own; those of etcd, or by hand, are everybody's. */
export function isOwn(fault: string): boolean {
  return fault in NETWORK || fault in HOST;
}
