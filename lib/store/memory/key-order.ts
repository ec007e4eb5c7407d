import type { EtcdSpan } from './etcd-requests.ts';

/** The order of etcd, which compares bytes: that of UTF-8, which differs from that of JavaScript where surrogates are involved. */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  let index = 0;
  while (index < length && a.charCodeAt(index) === b.charCodeAt(index)) index += 1;
  if (index === length) return a.length - b.length;
  return weight(a.charCodeAt(index)) - weight(b.charCodeAt(index));
}

/** Surrogates stand for what lies beyond U+FFFF, so they come after every other unit. */
function weight(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}

export function covers(span: EtcdSpan, key: string): boolean {
  if ('key' in span) return key === span.key;
  if ('prefix' in span) return key.startsWith(span.prefix);
  return compareKeys(key, span.start) >= 0 && (span.end === undefined || compareKeys(key, span.end) < 0);
}

/** The first key that a span can hold. */
export function firstOf(span: EtcdSpan): string {
  if ('key' in span) return span.key;
  return 'prefix' in span ? span.prefix : span.start;
}

/** Keys in order, for ranges over them. */
export class KeyIndex {
  readonly #keys: string[];

  constructor(keys: readonly string[] = []) {
    this.#keys = [...keys];
  }

  add(key: string): void {
    this.#keys.splice(this.#firstFrom(key), 0, key);
  }

  remove(key: string): void {
    const index = this.#firstFrom(key);
    if (this.#keys[index] === key) this.#keys.splice(index, 1);
  }

  /** The keys of a span, from `from` on. */
  within(span: EtcdSpan, from: string | undefined): readonly string[] {
    const begin = firstOf(span);
    const first = from !== undefined && compareKeys(from, begin) > 0 ? from : begin;
    const start = this.#firstFrom(first);
    let end = start;
    for (let key = this.#keys[end]; key !== undefined && covers(span, key); key = this.#keys[end]) end += 1;
    return this.#keys.slice(start, end);
  }

  copy(): KeyIndex {
    return new KeyIndex(this.#keys);
  }

  /** The place of the first key that is not before `key`. */
  #firstFrom(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareKeys(this.#keys[middle] as string, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
