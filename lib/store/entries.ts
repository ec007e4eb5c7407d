import type { KeyValue, OperationResponse } from './store.ts';

/** The entries in the answer to one operation of a transaction; none if it was no range. */
export function entriesOf(response: OperationResponse | undefined): readonly KeyValue[] {
  return response?.type === 'range' ? response.entries : [];
}
