import { Holding } from '../queue/holding.ts';
import type { Tenure } from '../queue/tenure.ts';

/**
 * The turn to do the work of a key: what the work is given. It ends with the work, by loss (LockLostError), or with the coordinator. What the
 * work returns although its signal has told it to stop is recorded, if the turn still stands.
 */
export class Turn extends Holding {
  /** The key as it was given to `once`. Pass it on as the idempotency key: whoever has to do the work again has the same. */
  readonly key: string;

  /** @internal */
  constructor(key: string, tenure: Tenure) {
    super(tenure);
    this.key = key;
  }

  /** For logs: the token as decimal text, since JSON has no bigint. */
  override toJSON(): { key: string; token: string } {
    return { key: this.key, ...super.toJSON() };
  }
}
