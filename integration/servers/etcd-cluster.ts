import { setTimeout as sleep } from 'node:timers/promises';
import { EtcdServer, type EtcdMembership, type EtcdServerOptions } from './etcd-server.ts';
import { freePorts } from './free-ports.ts';
import { retryWhileOccupied } from './server-process.ts';

export interface EtcdClusterOptions extends Pick<EtcdServerOptions, 'version' | 'extraArgs'> {
  /** @default 3 */
  readonly size?: number | undefined;
  /** Heartbeats of 20 ms and elections after 200 ms, so that a test need not wait for etcd's defaults. @default true */
  readonly fastElections?: boolean | undefined;
}

const statusTimeoutMs = 500;
const pollMs = 50;

/** Real etcd members on loopback that form one cluster. */
export class EtcdCluster implements AsyncDisposable {
  readonly members: readonly EtcdServer[];

  private constructor(members: readonly EtcdServer[]) {
    this.members = members;
  }

  /** Resolves when every member is healthy. */
  static async start({
    size = 3,
    fastElections = true,
    extraArgs = [],
    version,
  }: EtcdClusterOptions = {}): Promise<EtcdCluster> {
    const speed = fastElections ? ['--heartbeat-interval', '20', '--election-timeout', '200'] : [];
    return await retryWhileOccupied(async () => {
      const memberships = await plan(size);
      const launches = memberships.map((membership) =>
        EtcdServer.launch(membership, { version, extraArgs: [...speed, ...extraArgs] }),
      );
      const cluster = new EtcdCluster(await Promise.all(launches));
      try {
        await Promise.all(cluster.members.map((member) => member.untilHealthy()));
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
   * believe in itself; the higher term wins. Waits for an election to end.
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

  /** Every member but the leader. */
  async followers(): Promise<EtcdServer[]> {
    const leader = await this.leader();
    return this.members.filter((member) => member !== leader);
  }

  /** Ends every process and removes their data. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map((member) => member[Symbol.asyncDispose]()));
  }

  async #newestLeader(): Promise<EtcdServer | undefined> {
    const answering = this.members.filter((member) => member.isRunning && !member.isPaused);
    const answers = await Promise.all(answering.map((member) => raftStatus(member)));
    const known = answers.filter((answer) => answer !== undefined);
    const term = Math.max(...known.map((answer) => answer.term));
    return known.find((answer) => answer.term === term && answer.leads)?.member;
  }
}

interface RaftStatus {
  readonly member: EtcdServer;
  readonly term: number;
  readonly leads: boolean;
}

async function raftStatus(member: EtcdServer): Promise<RaftStatus | undefined> {
  try {
    const response = await fetch(`${member.endpoint}/v3/maintenance/status`, {
      method: 'POST',
      body: '{}',
      signal: AbortSignal.timeout(statusTimeoutMs),
    });
    const status = (await response.json()) as {
      readonly header: { readonly member_id: string };
      readonly leader?: string;
      readonly raftTerm: string;
    };
    return { member, term: Number(status.raftTerm), leads: status.leader === status.header.member_id };
  } catch {
    return undefined;
  }
}

async function plan(size: number): Promise<EtcdMembership[]> {
  const ports = await freePorts(size * 3);
  const members = Array.from({ length: size }, (_, index) => {
    const [clientPort, peerPort, metricsPort] = ports.slice(index * 3, index * 3 + 3) as [number, number, number];
    return { name: `member-${index + 1}`, clientPort, peerPort, metricsPort };
  });
  const initialCluster = members.map(({ name, peerPort }) => `${name}=http://127.0.0.1:${peerPort}`).join(',');
  return members.map((member) => ({ ...member, initialCluster }));
}
