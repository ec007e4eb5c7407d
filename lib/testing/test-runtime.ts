import type { Runtime } from '../runtime/runtime.ts';
import { RecordingLogger } from './recording-logger.ts';
import { SeededRandom } from './seeded-random.ts';
import { VirtualClock } from './virtual-clock.ts';

export interface TestRuntime extends Runtime {
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly logger: RecordingLogger;
  /** The codes with which the process would have ended. */
  readonly exits: readonly number[];
}

/** A world that a test holds in its hand: time moves when it says so, and chance comes from the seed. */
export function testRuntime({
  seed = 1,
  wallMs,
}: { readonly seed?: number; readonly wallMs?: number } = {}): TestRuntime {
  const exits: number[] = [];
  return {
    clock: new VirtualClock(wallMs === undefined ? {} : { wallMs }),
    random: new SeededRandom(seed),
    logger: new RecordingLogger(),
    exit: (code) => exits.push(code),
    exits,
  };
}
