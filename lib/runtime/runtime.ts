import { systemClock, type Clock } from './clock.ts';
import { createLogger, type Logger } from './logger.ts';
import { systemRandom, type Random } from './random.ts';

/** The world, as far as this package may touch it: time, chance and a log. Injected positionally, first. */
export interface Runtime {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** The world of this process. */
export function systemRuntime(logger: Logger = createLogger()): Runtime {
  return { clock: systemClock, random: systemRandom, logger };
}
