import { systemClock, type Clock } from './clock.ts';
import { createLogger, type Logger } from './logger.ts';
import { systemRandom, type Random } from './random.ts';

/** The world, as far as this package may touch it: time, chance, a log, and the life of the process. Injected positionally, first. */
export interface Runtime {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Ends the process. */
  readonly exit: (code: number) => void;
}

/** The world of this process. */
export function systemRuntime(logger: Logger = createLogger()): Runtime {
  return { clock: systemClock, random: systemRandom, logger, exit: (code) => process.exit(code) };
}
