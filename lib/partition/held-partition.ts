import { Holding } from '../queue/holding.ts';
import type { Tenure } from '../queue/tenure.ts';

/**
 * A partition that this process owns. Its signal aborts with LockLostError when it is lost, and with PartitionMovedError when it is to go to
 * another member: it is still held then until the work ends, unless `isHeld()` says otherwise.
 */
export class HeldPartition extends Holding {
  /** From 0. Its tokens rise, so it is what a guard is for: `guard.check('orders/17', held.token)`. */
  readonly partition: number;

  /** @internal */
  constructor(partition: number, tenure: Tenure) {
    super(tenure);
    this.partition = partition;
  }

  /** For logs: the token as decimal text, since JSON has no bigint. */
  override toJSON(): { partition: number; token: string } {
    return { partition: this.partition, ...super.toJSON() };
  }
}
