import type { EtcdOperation, EtcdOperationResponse } from '../../store/memory/etcd-requests.ts';
import type { MemoryCluster } from '../../store/memory/memory-cluster.ts';
import { isWrite } from '../../store/memory/transaction.ts';
import type { ServiceHandlers } from './grpc-server.ts';
import type { Member } from './member.ts';
import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  Header,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
} from './messages.ts';
import { toDelete, toPut, toRange, toTransaction } from './requests.ts';
import { fromDelete, fromPut, fromRange, fromTransaction } from './responses.ts';

/** What raft adds to a request: an ID and two lengths. Together they may have 1.5 MiB. */
const ENVELOPE_BYTES = 17;

export function keyValueService(cluster: MemoryCluster, member: Member): ServiceHandlers {
  const writeOne = <T extends EtcdOperation & { readonly type: 'put' | 'delete' }>(
    operation: T,
    bytes: number,
  ): Extract<EtcdOperationResponse, { readonly type: T['type'] }> => {
    const [response] = cluster.transact({ compare: [], then: [operation] }, bytes + ENVELOPE_BYTES).responses;
    return response as Extract<EtcdOperationResponse, { readonly type: T['type'] }>;
  };

  return {
    unary: {
      range: (request: RangeRequest): RangeResponse => fromRange(cluster.range(toRange(request)), member.header()),
      put: (request: PutRequest, bytes): PutResponse => {
        const response = writeOne({ ...toPut(request), isAlone: true }, bytes);
        return fromPut(response, member.header());
      },
      deleteRange: (request: DeleteRangeRequest, bytes): DeleteRangeResponse => {
        const response = writeOne(toDelete(request), bytes);
        return fromDelete(response, member.header());
      },
      txn: (request: TxnRequest, bytes): TxnResponse => {
        const transaction = toTransaction(request);
        const before = cluster.revision;
        const answer = cluster.transact(transaction, isWrite(transaction) ? bytes + ENVELOPE_BYTES : 0);
        return fromTransaction(answer, member.header(), before);
      },
      compact: ({ revision }: { readonly revision: string }): { readonly header: Header } => {
        cluster.compact(BigInt(revision));
        return { header: member.header() };
      },
    },
  };
}
