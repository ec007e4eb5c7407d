import { StoreError } from '../store/store-error.ts';
import type { KeyValue } from '../store/store.ts';

/** The operator's epoch, 0 where none was set. Throws a StoreError for what is none: a token made of it would fence nothing. */
export function readEpoch(epochKey: string, entry: KeyValue | undefined): number {
  const text = entry?.value ?? '0';
  if (/^\d{1,3}$/.test(text) && Number(text) <= 255) return Number(text);
  throw new StoreError(
    'invalid',
    'permanent',
    `the epoch under ${epochKey} is not a number from 0 to 255: ${JSON.stringify(text.slice(0, 20))}`,
  );
}
