import { sleep, type Clock } from '../runtime/clock.ts';
import type { Files } from '../runtime/files.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';

/** What may be wrong with a disk for a while: then nothing can be written or renamed. What stands on it can be read. */
export type DiskFailure = 'ENOSPC: no space left on device' | 'EROFS: read-only file system';

/** The disk of a host. It outlives the processes there. */
export class Disk {
  readonly #files = new Map<string, string>();
  readonly #random: SeededRandom;
  failure: DiskFailure | undefined;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** The disk as a process sees it. What it writes takes time, and never comes to be if the process is killed before. */
  mount(clock: Clock): Files {
    return {
      read: (file) => this.#files.get(file),
      replace: async (file, text) => {
        await sleep(clock, this.#random.integer(1, 50));
        this.#expectWritable();
        this.#files.set(file, text);
      },
      setAside: (file) => {
        this.#expectWritable();
        this.#files.delete(file);
      },
    };
  }

  /** Somebody cuts a file short. Whoever reads it next has to notice. */
  damage(): void {
    for (const [file, text] of this.#files)
      this.#files.set(file, text.slice(0, this.#random.integer(0, text.length - 1)));
  }

  #expectWritable(): void {
    if (this.failure !== undefined) throw new Error(this.failure);
  }
}
