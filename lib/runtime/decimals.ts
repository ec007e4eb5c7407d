/**
 * Lets a plain object with revisions or tokens go through `JSON.stringify`, which refuses bigint: they become decimal text. The method is
 * not enumerable, so that the object compares and prints as if it were not there.
 */
export function withDecimals<T extends object>(value: T): T {
  return Object.defineProperty(value, 'toJSON', { value: toJSON, enumerable: false });
}

function toJSON(this: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(this).map(([key, value]: [string, unknown]) => [
      key,
      typeof value === 'bigint' ? String(value) : value,
    ]),
  );
}
