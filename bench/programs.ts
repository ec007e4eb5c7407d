/**
 * Who takes part: programs that know the protocol of peers/peer.ts, each with what it gives besides its speed. A lock that is faster because
 * it promises less is not the same thing faster.
 */

export type ServerKind = 'etcd' | 'redis' | 'postgres' | 'zookeeper';

export interface Guarantees {
  /** A number that rises from holder to holder, for the resource to refuse late writes by. */
  readonly fencing: string;
  /** What a holder that was stopped for longer than its lease lasts believes when it goes on. */
  readonly afterPause: string;
  /** What frees the lock of a process that is killed. */
  readonly afterKill: string;
  readonly waiting: string;
}

export interface Program {
  readonly name: string;
  readonly server: ServerKind;
  /** In Node, a file of bench/peers; Go and Java have one program each. */
  readonly in: { readonly node: string } | 'go' | 'java';
  /** Which of its locks it uses. */
  readonly kind: string;
  readonly guarantees: Guarantees;
}

const LEASE = 'its lease ends';

const ETCD3: Guarantees = {
  fencing: 'none given (the revision is not exposed)',
  afterPause: 'believes that it holds until it is told',
  afterKill: LEASE,
  waiting: 'asks again (our loop: 5–100 ms, full jitter)',
};

const GO: Guarantees = {
  fencing: 'yes, by hand: the create revision of its key',
  afterPause: 'believes that it holds until it is told',
  afterKill: LEASE,
  waiting: 'a queue; each watches the one before',
};

export const HOLDFAST: Program = {
  name: 'holdfast',
  server: 'etcd',
  in: { node: 'holdfast.js' },
  kind: 'lock',
  guarantees: {
    fencing: 'yes, also over restores of etcd',
    afterPause: 'isHeld() is false by its own clock, at once',
    afterKill: LEASE,
    waiting: 'a queue; one watch for a process',
  },
};

export const HOLDFAST_STRICT: Program = { ...HOLDFAST, name: 'holdfast without handoff', kind: 'strict lock' };

export const ETCD3_LOCK: Program = {
  name: 'npm etcd3 lock',
  server: 'etcd',
  in: { node: 'etcd3.js' },
  kind: 'lock',
  guarantees: ETCD3,
};

export const ETCD3_ELECTION: Program = {
  name: 'npm etcd3 election',
  server: 'etcd',
  in: { node: 'etcd3.js' },
  kind: 'election',
  guarantees: { ...ETCD3, waiting: 'a queue; each watches all before it' },
};

export const GO_MUTEX: Program = { name: 'Go Mutex', server: 'etcd', in: 'go', kind: 'mutex', guarantees: GO };

export const GO_ELECTION: Program = { ...GO_MUTEX, name: 'Go Election', kind: 'election' };

export const CURATOR: Program = {
  name: 'Curator on ZooKeeper',
  server: 'zookeeper',
  in: 'java',
  kind: 'mutex',
  guarantees: {
    fencing: 'yes, by hand: the zxid or version of its node',
    afterPause: 'believes that it holds until it is told',
    afterKill: 'its session ends',
    waiting: 'a queue; each watches the one before',
  },
};

export const REDLOCK: Program = {
  name: 'redlock on one Redis',
  server: 'redis',
  in: { node: 'redlock.js' },
  kind: 'lock',
  guarantees: {
    fencing: 'none',
    afterPause: 'a time of expiry, which the holder has to ask for',
    afterKill: 'its key expires; Redis did not sync it to the disk',
    waiting: 'asks again (10 ms, jitter 10; its default is 200)',
  },
};

export const POSTGRES: Program = {
  name: 'PostgreSQL advisory lock',
  server: 'postgres',
  in: { node: 'postgres.js' },
  kind: 'lock',
  guarantees: {
    fencing: 'none',
    afterPause: 'still holds it: there is no lease, and nobody else gets on',
    afterKill: 'its connection ends; a machine that vanishes: the TCP timeout',
    waiting: 'a queue in the server, one connection for each; one node, in memory',
  },
};

/** No locks: what one write costs, with the same library on the same server. */
export const RAW_NODE: Program = { ...ETCD3_LOCK, name: 'raw transaction, grpc-js', kind: 'transaction' };
export const RAW_GO: Program = { ...GO_MUTEX, name: 'raw transaction, Go', kind: 'transaction' };

export const LOCKS: readonly Program[] = [
  ...[HOLDFAST, HOLDFAST_STRICT, GO_MUTEX, ETCD3_LOCK, ETCD3_ELECTION],
  ...[CURATOR, REDLOCK, POSTGRES],
];
