import type { MemoryCluster } from '../../store/memory/memory-cluster.ts';
import type { Header } from './messages.ts';

/** The IDs that an etcd gives itself which is started without any options. */
const CLUSTER_ID = '14841639068965178418';
const MEMBER_ID = '10276657743932975437';

/** The only member there is, as it introduces itself. It has led since the first term, which is etcd's second. */
export class Member {
  readonly id: string = MEMBER_ID;
  readonly name = 'default';
  readonly term = '2';
  readonly version: string;
  readonly #cluster: MemoryCluster;
  readonly #clientUrl: () => string;

  constructor(cluster: MemoryCluster, version: string, clientUrl: () => string) {
    this.#cluster = cluster;
    this.version = version;
    this.#clientUrl = clientUrl;
  }

  /** What every answer begins with: by default, the store's revision as it is now. */
  header(revision: bigint = this.#cluster.revision): Header {
    return {
      cluster_id: CLUSTER_ID,
      member_id: this.id,
      revision: String(revision),
      raft_term: this.term,
    };
  }

  /** As `member list` shows it. There is no peer, so its peer URL leads nowhere: it is etcd's own default. */
  describe(): object {
    return {
      ID: this.id,
      name: this.name,
      peerURLs: ['http://localhost:2380'],
      clientURLs: [this.#clientUrl()],
      isLearner: false,
    };
  }
}
