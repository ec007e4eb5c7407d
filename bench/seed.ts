import type { Etcd3 } from 'etcd3';

/** The keys as they stand under a cache's prefix, all of the same length. */
export function seedKeys(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `user-${String(index).padStart(8, '0')}`);
}

/** Puts `value` under each key of a prefix, a hundred to a transaction: etcd takes 128 operations at most. */
export async function seed(
  raw: Etcd3,
  prefix: string,
  keys: readonly string[],
  value: (key: string) => string,
): Promise<void> {
  for (let start = 0; start < keys.length; start += 100) {
    const success = keys.slice(start, start + 100).map((key) => ({
      request_put: { key: Buffer.from(`${prefix}${key}`), value: Buffer.from(value(key)) },
    }));
    await raw.kv.txn({ compare: [], success, failure: [] });
  }
}

/** Another string of the same text. A program looks keys up that it has parsed or built, not those that the map was filled with. */
export function copyOf(text: string): string {
  return Buffer.from(text).toString();
}
