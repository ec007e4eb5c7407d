import { expectText, show } from '../arguments.ts';
import { expectCounter, parseCounter } from './lamport-clock.ts';

/** How one version stands to another. `concurrent`: each has seen something that the other has not, so neither may overwrite the other. */
export type Causality = 'equal' | 'before' | 'after' | 'concurrent';

/**
 * How many changes of each node a version has seen (Parker et al., "Detection of Mutual Inconsistency in Distributed Systems", 1983).
 * Immutable.
 *
 * Guarantee: `compare` tells exactly whether a version was made in knowledge of another.
 * Not guaranteed: a decision. Concurrent versions are told apart; what becomes of them is the application's business. It grows by an
 * entry for each node that ever wrote, and an entry may be dropped only when everybody has seen it.
 */
export class VersionVector {
  /** Without zeros: a node that is not here has made no change. */
  readonly #counts: ReadonlyMap<string, bigint>;

  /**
   * The version that nobody has changed, or one with these counts. Throws a TypeError for what is no node or no count, and for a node that is there
   * twice; a RangeError for a count below 0 or above 63 bits.
   */
  constructor(counts: Iterable<readonly [node: string, count: bigint]> = []) {
    const checked = new Map<string, bigint>();
    for (const [node, count] of counts) {
      expectText('node', node);
      if (checked.has(node)) throw new TypeError(`Expected each node once, got ${show(node)} twice`);
      if (expectCounter(`the count of ${show(node)}`, count) > 0n) checked.set(node, count);
    }
    this.#counts = checked;
  }

  /** How many changes of this node it has seen. */
  get(node: string): bigint {
    return this.#counts.get(node) ?? 0n;
  }

  /** Those that have made a change, in no order that means anything. */
  get nodes(): readonly string[] {
    return [...this.#counts.keys()];
  }

  /** The version that this node makes of it. */
  increment(node: string): VersionVector {
    return new VersionVector(new Map(this.#counts).set(node, this.get(node) + 1n));
  }

  /** What has seen all that either has seen: for a version that was made of both, before its own {@link increment}. */
  merge(other: VersionVector): VersionVector {
    const merged = new Map(this.#counts);
    for (const [node, count] of other.#counts) if (count > this.get(node)) merged.set(node, count);
    return new VersionVector(merged);
  }

  /** How this version stands to the other: `before` if the other was made in knowledge of it. */
  compare(other: VersionVector): Causality {
    const isBehind = other.nodes.some((node) => this.get(node) < other.get(node));
    const isAhead = this.nodes.some((node) => this.get(node) > other.get(node));
    if (isBehind) return isAhead ? 'concurrent' : 'before';
    return isAhead ? 'after' : 'equal';
  }

  /** Decimal text for each node, in an order that does not depend on how it came about. */
  toJSON(): Record<string, string> {
    const sorted = [...this.#counts].toSorted(([one], [other]) => (one < other ? -1 : 1));
    return Object.fromEntries(sorted.map(([node, count]) => [node, count.toString()]));
  }

  /** Reads one from what `JSON.parse` gives of it. Throws a TypeError or RangeError for anything else. */
  static parse(this: void, json: unknown): VersionVector {
    if (typeof json !== 'object' || json === null || Array.isArray(json)) {
      throw new TypeError(`Expected a version vector, an object of counts by node, got ${show(json)}`);
    }
    return new VersionVector(
      Object.entries(json).map(([node, count]) => [node, parseCounter(`the count of ${show(node)}`, count)] as const),
    );
  }
}
