import { setTimeout as sleep } from 'node:timers/promises';
import { lockUp, NAMESPACE, ROOT } from './access.ts';
import { EtcdServer, type EtcdMembership, type EtcdServerOptions } from './etcd-server.ts';
import { freePorts } from './free-ports.ts';
import { answer, authenticate } from './gateway.ts';
import { PeerNetwork } from './peer-network.ts';
import { retryWhileOccupied } from './server-process.ts';

export interface EtcdClusterOptions extends Pick<EtcdServerOptions, 'version' | 'extraArgs' | 'access' | 'namespaces'> {
  /** @default 3 */
  readonly size?: number | undefined;
  /** Heartbeats of 20 ms and elections after 200 ms, so that a test need not wait for etcd's defaults. @default true */
  readonly fastElections?: boolean | undefined;
  /**
   * Leads what the members say to each other through this process, so that {@link EtcdCluster.partition} can cut it. A blocked event loop
   * is a cut, too. With `--pre-vote`, which etcd 3.4 has not by default: a member that comes back deposes nobody. @default false
   */
  readonly partitionable?: boolean | undefined;
}

export interface PartitionOptions {
  /** `inbound`: the member hears nothing of its peers; `outbound`: they hear nothing of it. @default 'both' */
  readonly direction?: 'both' | 'inbound' | 'outbound' | undefined;
}

const statusTimeoutMs = 500;
const pollMs = 50;

/** Real etcd members on loopback that form one cluster. */
export class EtcdCluster implements AsyncDisposable {
  readonly members: readonly EtcdServer[];
  readonly #network: PeerNetwork | undefined;
  #operator: string | undefined;
  #token: string | undefined;
  #authentications = 0;

  private constructor(members: readonly EtcdServer[], network: PeerNetwork | undefined) {
    this.members = members;
    this.#network = network;
  }

  /** Resolves when every member is healthy. */
  static async start({
    size = 3,
    fastElections = true,
    partitionable = false,
    extraArgs = [],
    namespaces = [NAMESPACE],
    access,
    version,
  }: EtcdClusterOptions = {}): Promise<EtcdCluster> {
    const speed = fastElections ? ['--heartbeat-interval', '20', '--election-timeout', '200'] : [];
    const voting = partitionable ? ['--pre-vote'] : [];
    return await retryWhileOccupied(async () => {
      const peers = await plan(size);
      const network = partitionable ? await PeerNetwork.start(peers) : undefined;
      const launches = introduce(peers, network).map((membership) =>
        EtcdServer.launch(membership, { version, access, extraArgs: [...speed, ...voting, ...extraArgs] }),
      );
      const cluster = new EtcdCluster(await Promise.all(launches), network);
      try {
        await Promise.all(cluster.members.map((member) => member.untilHealthy()));
        await cluster.#lockUp(namespaces);
        return cluster;
      } catch (error) {
        await cluster[Symbol.asyncDispose]();
        throw error;
      }
    });
  }

  get endpoints(): string[] {
    return this.members.map((member) => member.endpoint);
  }

  /**
   * The member that leads in the newest term that any answering member knows. A deposed leader that is cut off may still
   * believe in itself, so only those are asked that can talk to a majority. Waits for an election to end.
   */
  async leader({ withinMs = 10_000 }: { withinMs?: number | undefined } = {}): Promise<EtcdServer> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const leader = await this.#newestLeader();
      if (leader !== undefined) return leader;
      if (performance.now() > deadline) throw new Error(`Expected a leader within ${withinMs} ms, there was none.`);
      await sleep(pollMs);
    }
  }

  /** The newest raft term that any answering member knows, or 0 if none answers. */
  async term(): Promise<number> {
    const running = this.members.filter((member) => member.isRunning && !member.isPaused);
    const answers = await Promise.all(running.map((member) => this.#raftStatus(member)));
    return Math.max(0, ...answers.map((answer) => answer?.term ?? 0));
  }

  /** Every member but the leader. */
  async followers(): Promise<EtcdServer[]> {
    const leader = await this.leader();
    return this.members.filter((member) => member !== leader);
  }

  /**
   * Cuts a member off from all of its peers, until {@link heal}; clients reach it as before. Streams between them are reset, and what is
   * said is lost. Adds to the cuts that there are.
   */
  partition(member: EtcdServer, { direction = 'both' }: PartitionOptions = {}): void {
    const network = this.#network;
    if (network === undefined) throw new Error('Expected a cluster that was started with { partitionable: true }.');
    for (const peer of this.members) {
      if (peer === member) continue;
      if (direction !== 'outbound') network.cut(peer.name, member.name);
      if (direction !== 'inbound') network.cut(member.name, peer.name);
    }
  }

  /** Ends every partition. The members find each other again by themselves, in a moment. */
  heal(): void {
    this.#network?.heal();
  }

  /**
   * Takes a member out of the cluster, and lets it join again with no data, as a new one with the same address. Resolves when it is healthy, to
   * its ID before and after.
   */
  async replace(member: EtcdServer): Promise<{ readonly before: string; readonly after: string }> {
    const operator = this.members.find((each) => each !== member);
    if (operator === undefined) throw new Error('Expected a cluster of more than one member.');
    const before = await this.idOf(member);
    await operator.insist(['member', 'remove', before], { done: /member not found/i });
    await member.stop({ signal: 'SIGKILL' });
    await operator.insist(['member', 'add', member.name, `--peer-urls=${member.peerUrl}`], {
      done: /peer urls already exists/i,
    });
    const after = await this.idOf(member);
    await member.rejoin();
    return { before, after };
  }

  /** Adds a member that does not vote. Resolves when it has started; who adds it ends it. */
  async addLearner(version?: EtcdClusterOptions['version']): Promise<EtcdServer> {
    const [operator] = this.members as [EtcdServer];
    const [clientPort, peerPort, metricsPort] = (await freePorts(3)) as [number, number, number];
    const peerUrl = `http://127.0.0.1:${peerPort}`;
    await operator.insist(['member', 'add', 'learner', '--learner', `--peer-urls=${peerUrl}`], {
      done: /peer urls already exists/i,
    });
    const peers = [...this.members.map(({ name, peerUrl: url }) => `${name}=${url}`), `learner=${peerUrl}`];
    const membership = {
      name: 'learner',
      clientPort,
      peerPort,
      metricsPort,
      initialCluster: peers.join(','),
      joins: true,
    };
    const learner = await EtcdServer.launch(membership, {
      version,
      access: operator.isRestricted ? undefined : 'plain',
    });
    while (!(await operator.insist(['member', 'list'])).includes(learner.endpoint)) await sleep(pollMs);
    return learner;
  }

  /** The ID by which etcdctl knows a member. */
  async idOf(member: EtcdServer): Promise<string> {
    const operator = this.members.find((each) => each !== member) ?? member;
    const listing = await operator.insist(['member', 'list']);
    return (
      listing
        .split('\n')
        .find((line) => line.includes(member.peerUrl))
        ?.split(',')[0] ?? ''
    );
  }

  /** Who this is, and etcdctl, from now on, such as `root:secret`. */
  operateAs(user: string): void {
    this.#operator = user;
    for (const member of this.members) member.operator = user;
  }

  /** How often it has said itself who it is. */
  get authentications(): number {
    return this.#authentications;
  }

  /** Ends every process and removes their data. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map((member) => member[Symbol.asyncDispose]()));
    await this.#network?.[Symbol.asyncDispose]();
  }

  async #newestLeader(): Promise<EtcdServer | undefined> {
    const connected = this.members.filter(
      (member) => member.isRunning && !member.isPaused && this.#hasMajority(member),
    );
    const answers = await Promise.all(connected.map((member) => this.#raftStatus(member)));
    const known = answers.filter((answer) => answer !== undefined);
    const term = Math.max(...known.map((answer) => answer.term));
    return known.find((answer) => answer.term === term && answer.leads)?.member;
  }

  async #lockUp(namespaces: readonly string[]): Promise<void> {
    const [member] = this.members as [EtcdServer];
    if (!member.isRestricted) return;
    await lockUp(member, namespaces);
    this.#operator = ROOT;
  }

  async #raftStatus(member: EtcdServer): Promise<RaftStatus | undefined> {
    const ask = async (): Promise<RaftStatus | undefined> => {
      const options = { token: this.#token, signal: AbortSignal.timeout(statusTimeoutMs) };
      const status = await answer<StatusAnswer>(member, '/v3/maintenance/status', {}, options);
      if (status.header === undefined) return undefined;
      const { header, leader, raftTerm } = status;
      return { member, term: Number(raftTerm), leads: leader === header.member_id };
    };
    try {
      const status = await ask();
      if (status !== undefined || this.#operator === undefined) return status;
      /* A token expires. */
      this.#authentications += 1;
      const token = await authenticate(member, this.#operator, AbortSignal.timeout(statusTimeoutMs));
      if (token === undefined) return undefined;
      this.#token = token;
      return await ask();
    } catch {
      return undefined;
    }
  }

  #hasMajority({ name }: EtcdServer): boolean {
    return this.#network === undefined || this.#network.circleOf(name) > this.members.length / 2;
  }
}

interface RaftStatus {
  readonly member: EtcdServer;
  readonly term: number;
  readonly leads: boolean;
}

interface StatusAnswer {
  readonly header?: { readonly member_id: string };
  readonly leader?: string;
  readonly raftTerm?: string;
}

type PlannedMember = Omit<EtcdMembership, 'initialCluster'>;

async function plan(size: number): Promise<PlannedMember[]> {
  const ports = await freePorts(size * 3);
  return Array.from({ length: size }, (_, index) => {
    const [clientPort, peerPort, metricsPort] = ports.slice(index * 3, index * 3 + 3) as [number, number, number];
    return { name: `member-${index + 1}`, clientPort, peerPort, metricsPort };
  });
}

/** Tells each member where the others are: all of them must say the same. */
function introduce(members: readonly PlannedMember[], network: PeerNetwork | undefined): EtcdMembership[] {
  const routed = members.map((member) => ({ ...member, route: network?.routeOf(member.name) }));
  const initialCluster = routed
    .map(({ name, peerPort, route }) => `${name}=${route?.advertisedUrl ?? `http://127.0.0.1:${peerPort}`}`)
    .join(',');
  return routed.map((member) => ({ ...member, initialCluster }));
}
