import type { EtcdOperationResponse, EtcdTransactionResponse } from '../../store/memory/etcd-requests.ts';
import type { KeyValue, RangeResponse as RangeAnswer } from '../../store/store.ts';
import { toBytes } from './bytes.ts';
import type {
  DeleteRangeResponse,
  Header,
  KeyValueMessage,
  PutResponse,
  RangeResponse,
  ResponseOp,
  TxnResponse,
} from './messages.ts';

/* The model's answers in etcd's messages. */

type PutAnswer = Extract<EtcdOperationResponse, { readonly type: 'put' }>;
type DeleteAnswer = Extract<EtcdOperationResponse, { readonly type: 'delete' }>;

export function fromKeyValue(entry: KeyValue): KeyValueMessage {
  return {
    key: toBytes(entry.key),
    value: toBytes(entry.value),
    create_revision: String(entry.createRevision),
    mod_revision: String(entry.modRevision),
    version: String(entry.version),
    lease: String(entry.lease),
  };
}

export function fromRange({ entries, more, count }: RangeAnswer, header: Header): RangeResponse {
  return { header, kvs: entries.map(fromKeyValue), more, count };
}

export function fromPut({ prevKv }: PutAnswer, header: Header): PutResponse {
  return { header, prev_kv: prevKv === undefined ? null : fromKeyValue(prevKv) };
}

export function fromDelete({ deleted, prevKvs = [] }: DeleteAnswer, header: Header): DeleteRangeResponse {
  return { header, deleted, prev_kvs: prevKvs.map(fromKeyValue) };
}

/** `before`: the store's revision without this transaction. */
export function fromTransaction(answer: EtcdTransactionResponse, header: Header, before: bigint): TxnResponse {
  return new OperationAnswers(before, answer.revision).transaction(answer, header);
}

/**
 * The header of an operation tells nothing but the revision that the store had after it: that of the transaction from its first write
 * on. The header of a nested transaction does not even tell that.
 */
class OperationAnswers {
  #revision: bigint;
  readonly #written: bigint;

  constructor(before: bigint, written: bigint) {
    this.#revision = before;
    this.#written = written;
  }

  transaction({ succeeded, responses }: EtcdTransactionResponse, header: Header): TxnResponse {
    return { header, succeeded, responses: responses.map((response) => this.#operation(response)) };
  }

  #operation(response: EtcdOperationResponse): ResponseOp {
    if (response.type === 'txn') return { response_txn: this.transaction(response, {}) };
    if (response.type === 'put' || (response.type === 'delete' && response.deleted > 0)) this.#revision = this.#written;
    const header = { revision: String(this.#revision) };
    switch (response.type) {
      case 'put':
        return { response_put: fromPut(response, header) };
      case 'delete':
        return { response_delete_range: fromDelete(response, header) };
      case 'range':
        return { response_range: fromRange(response, header) };
    }
  }
}
