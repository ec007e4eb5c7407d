import type { Clock } from '../runtime/clock.ts';
import type { LogFields, Logger } from '../runtime/logger.ts';

/** For so long, what happens again is counted instead of being told. */
const GATHER_MS = 1_000;

/** As many spans are named where many replicas have something to tell. */
const NAMED = 3;

interface Gathered {
  readonly cancel: () => void;
  readonly tell: () => void;
  count: number;
  readonly spans: unknown[];
  last: { readonly message: string; readonly fields: LogFields };
}

/**
 * A logger for thousands of replicas that meet the same outage. The first warning or error of an event is told at once, as it is; those
 * of the same event in the second after it in one line, with their number and a few of their spans. What is of no concern to an
 * operator passes as it is.
 */
export class BriefLogger implements Logger {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #gathered = new Map<string, Gathered>();

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  debug(message: string, fields: LogFields): void {
    this.#logger.debug(message, fields);
  }

  info(message: string, fields: LogFields): void {
    this.#logger.info(message, fields);
  }

  warn(message: string, fields: LogFields): void {
    this.#gather('warn', message, fields);
  }

  error(message: string, fields: LogFields): void {
    this.#gather('error', message, fields);
  }

  /** Tells what was counted. Leaves no timer. */
  close(): void {
    for (const { cancel, tell } of this.#gathered.values()) {
      cancel();
      tell();
    }
  }

  #gather(level: 'warn' | 'error', message: string, fields: LogFields): void {
    const { event } = fields;
    const gathered = this.#gathered.get(event);
    if (gathered !== undefined) {
      gathered.count += 1;
      if (gathered.spans.length < NAMED) gathered.spans.push(fields['span']);
      gathered.last = { message, fields };
      return;
    }
    this.#logger[level](message, fields);
    const tell = (): void => {
      this.#gathered.delete(event);
      const { count, spans, last } = mine;
      if (count === 1) this.#logger[level](last.message, last.fields);
      if (count > 1)
        this.#logger[level](`${last.message} (${count} more)`, { ...last.fields, span: undefined, spans, count });
    };
    const cancel = this.#clock.schedule(GATHER_MS, tell);
    const mine: Gathered = { cancel, tell, count: 0, spans: [], last: { message, fields } };
    this.#gathered.set(event, mine);
  }
}
