import { createCoordinator, type Coordinator, type CoordinatorOptions } from '../../../lib/index.ts';
import { type EtcdVersion } from '../../provision/etcd.ts';
import { accessTo, NAMESPACE } from '../../servers/access.ts';
import { type EtcdServer } from '../../servers/etcd-server.ts';

/** The oldest server that is supported, and the newest that can be had. */
export const testedVersions: readonly EtcdVersion[] = ['3.4', '3.5.30'];

/** For sessions that a test lets end. The others have the default: a busy machine must not end them. */
export const ttlMs = 3_000;
export const shortLived: CoordinatorOptions = { session: { ttlMs } };

/** How long etcd may need to elect a leader, or to take up its leases after a restart. */
export const electionMs = 1_000;

/** Patient: an etcd or a process that is starved for a second or two on a busy machine has not failed. */
const request = { timeoutMs: 2_000, deadlineMs: 15_000 };

/** For clients of which a test expects that they say soon that there is no answer. */
export const brisk: CoordinatorOptions = { request: { timeoutMs: 1_500, deadlineMs: 1_500 } };

/** Coordinators of one test, all in its namespace, which are closed with it. */
export class Clients implements AsyncDisposable {
  readonly #namespace: string;
  readonly #open: Coordinator[] = [];

  constructor(namespace: string = NAMESPACE) {
    this.#namespace = namespace;
  }

  /** One that has not connected yet. */
  create(endpoint: string, options: CoordinatorOptions = {}): Coordinator {
    const coordinator = createCoordinator({
      endpoints: endpoint,
      namespace: this.#namespace,
      request,
      ...accessTo(this.#namespace),
      ...options,
    });
    this.#open.push(coordinator);
    return coordinator;
  }

  /** One that has its session. */
  async connect(endpoint: string, options: CoordinatorOptions = {}): Promise<Coordinator> {
    const coordinator = this.create(endpoint, options);
    await coordinator.ready({ timeoutMs: 15_000 });
    return coordinator;
  }

  /** The prefix of a lock's keys, as this package and `etcdctl lock` build it. */
  prefix(lock: string): string {
    return `${this.#namespace}/lock/${lock}/`;
  }

  /** Waits for nothing: a test that failed may have left a lock held. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#open.map((coordinator) => coordinator.close({ drainMs: 0 })));
  }
}

export interface StoredKey {
  readonly key: string;
  readonly createRevision: bigint;
}

/** The keys below a prefix, as etcdctl sees them: an eye of its own. Outlasts a change of the leader. */
export async function storedKeys(server: EtcdServer, prefix: string): Promise<StoredKey[]> {
  const text = await server.insist(['get', '--prefix', prefix, '--write-out', 'json']);
  const { kvs = [] } = JSON.parse(text) as { kvs?: { key: string; create_revision: number }[] };
  return kvs.map(({ key, create_revision: revision }) => ({
    key: Buffer.from(key, 'base64').toString('utf8'),
    createRevision: BigInt(revision),
  }));
}
