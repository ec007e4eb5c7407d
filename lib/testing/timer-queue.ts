export interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
}

interface Entry extends Timer {
  readonly order: number;
  state: 'waiting' | 'done';
}

/** Timers by due time, then by creation: a binary heap. A cancelled timer stays in it until it comes to the top. */
export class TimerQueue {
  readonly #heap: Entry[] = [];
  #created = 0;
  #waiting = 0;

  /** How many timers are neither run nor cancelled. */
  get size(): number {
    return this.#waiting;
  }

  /** Returns what cancels the timer; cancelling twice, or after it ran, is harmless. */
  add(dueMs: number, callback: () => void): () => void {
    const entry: Entry = { dueMs, callback, order: this.#created++, state: 'waiting' };
    this.#waiting += 1;
    this.#heap.push(entry);
    this.#rise(this.#heap.length - 1);
    return () => this.#finish(entry);
  }

  /** The timer that is due next, without taking it. */
  peek(): Timer | undefined {
    while (this.#heap[0]?.state === 'done') this.#pop();
    return this.#heap[0];
  }

  take(): Timer | undefined {
    const entry = this.peek() as Entry | undefined;
    if (entry === undefined) return undefined;
    this.#pop();
    this.#finish(entry);
    return entry;
  }

  #finish(entry: Entry): void {
    if (entry.state === 'done') return;
    entry.state = 'done';
    this.#waiting -= 1;
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink(0);
  }

  #rise(from: number): void {
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#swapIfBefore(index, parent)) return;
      index = parent;
    }
  }

  #sink(from: number): void {
    let index = from;
    for (;;) {
      const left = 2 * index + 1;
      const right = left + 1;
      const child = this.#isBefore(right, left) ? right : left;
      if (!this.#swapIfBefore(child, index)) return;
      index = child;
    }
  }

  #isBefore(a: number, b: number): boolean {
    const first = this.#heap[a];
    const second = this.#heap[b];
    if (first === undefined || second === undefined) return false;
    return first.dueMs < second.dueMs || (first.dueMs === second.dueMs && first.order < second.order);
  }

  #swapIfBefore(a: number, b: number): boolean {
    if (!this.#isBefore(a, b)) return false;
    const first = this.#heap[a] as Entry;
    this.#heap[a] = this.#heap[b] as Entry;
    this.#heap[b] = first;
    return true;
  }
}
