/** Everything that can go wrong, by name. */
import { mayWrite, type Call } from '../store/memory/call.ts';
import { StoreError } from '../store/store-error.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import type { Calls } from './calls.ts';
import type { Invariants } from './invariants.ts';
import type { Machine } from './machine.ts';
import type { Use, World } from './world.ts';

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

/** A user's calls are refused as etcd says it and the adapter reports it; watches that stand go on, as they do in etcd. */
function refuseAccess({ world, machine }: Scene, error: StoreError, isMeant: (call: Call) => boolean): Undo {
  machine.wasRefused = true;
  const undo = machine.store.faults.onRequest((call) => (isMeant(call) ? { refuseWith: error } : undefined));
  return () => {
    undo();
    world.refusedUntilMs = world.nowMs;
  };
}

/** A lease is granted to every user, and renewed for whoever asks (etcd: `authApplierV3`). */
function needsPermission({ method }: Call): boolean {
  return method !== 'grant' && method !== 'renew' && method !== 'status';
}

const ACCESS = {
  /*
   * The adapter gets itself a new token for one that has expired, and nobody notices. What shows is a new one that is refused as well, by a
   * member that has not heard of it, or of the last change of rights. Renewals have a stream that stands.
   */
  'tokens are refused': (scene) => {
    const share = some(scene.random);
    const error = new StoreError('unauthenticated', 'transient', 'etcdserver: invalid auth token');
    return refuseAccess(scene, error, ({ method }) => method !== 'renew' && scene.random.chance(share));
  },
  /* The token has expired, and there is no other: nothing gets through, and the lease ends. */
  'a password is refused': (scene) => {
    const message = 'etcdserver: authentication failed, invalid user ID or password';
    return refuseAccess(scene, new StoreError('unauthenticated', 'permanent', message), () => true);
  },
  /* Of everything, or of writing alone: what is read through raft needs that, too. */
  'a permission is taken away': (scene) => {
    const isAll = scene.random.chance(0.5);
    const error = new StoreError('denied', 'permanent', 'etcdserver: permission denied');
    return refuseAccess(scene, error, (call) => needsPermission(call) && (isAll || mayWrite(call)));
  },
} satisfies Readonly<Record<string, Fault>>;

const DISK = {
  'a disk is full or read-only': ({ machine, random }) => {
    const { disk } = machine;
    disk.failure = random.pick(['ENOSPC: no space left on device', 'EROFS: read-only file system'] as const);
    return () => {
      disk.failure = undefined;
    };
  },
  'files are cut short': ({ machine }) => {
    machine.disk.damage();
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
  /* With what it finds on its disk alone. */
  'etcd crashes, and a process starts without it': ({ world, machine, nemesis }) => {
    world.cluster.stop('crash');
    nemesis.replace(machine, async () => machine.kill());
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
    /*
     * What is written down of ticks, and of a write that is not settled yet, is all that is known of them: who deletes it takes T2, or that a
     * write is done once, into their own hands.
     */
    const isLeftAlone = (key: string): boolean =>
      key === 'sim/epoch' || key.startsWith('sim/schedule-job/') || key.endsWith('/operation');
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
const KINDS: readonly Readonly<Record<string, Fault>>[] = [
  NETWORK,
  NETWORK,
  NETWORK,
  SERVER,
  HOST,
  HOST,
  HANDS,
  ACCESS,
];

/** Where something is written to disk, that can go wrong as well. */
export function kindsFor(uses: readonly Use[]): readonly Readonly<Record<string, Fault>>[] {
  return uses.includes('settings') ? [...KINDS, DISK] : KINDS;
}

export const CLOCK_AHEAD: Fault = HOST['a wall clock is set forward'];

/** All of them, by name. */
export const FAULTS: readonly string[] = [...new Set([...KINDS, DISK].flatMap((kind) => Object.keys(kind)))];

/** Faults of one machine are its own; those of etcd, or by hand, are everybody's. */
export function isOwn(fault: string): boolean {
  return [NETWORK, HOST, ACCESS, DISK].some((kind) => fault in kind);
}
