/**
 * Orders in sixteen partitions, and workers that come and go: each order is shipped under the token of its partition, by whoever owns that now,
 * without a lock for each order.
 *
 *     HOLDFAST_ENDPOINTS=http://127.0.0.1:2379 node dist/examples/partitions.js
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createCoordinator,
  PartitionMovedError,
  StaleTokenError,
  type Coordinator,
  type HeldPartition,
  type Partitions,
} from 'holdfast';
import { memoryGuard } from 'holdfast/guards/memory';

const COUNT = 16;
const ORDERS = 400;

/** What was shipped, behind a guard with a resource for each partition: in earnest a database. */
const guard = memoryGuard();
const shipped = new Map<string, string>();
/** What waits, by partition: in earnest a queue with partitions. */
const waiting = new Map<number, string[]>();

async function ship(by: string, partition: number, held: HeldPartition): Promise<void> {
  /* Before the first read: from here on nobody with an older token gets through. */
  guard.check(`orders/${partition}`, held.token);
  const orders = waiting.get(partition) ?? [];
  while (!held.signal.aborted) {
    const [order] = orders;
    if (order === undefined) {
      await sleep(5);
      continue;
    }
    await sleep(2);
    guard.check(`orders/${partition}`, held.token);
    assert.ok(!shipped.has(order), `${order} twice`);
    shipped.set(order, by);
    orders.shift();
  }
  /* What is under way is done by now; what waits goes to the next owner. */
  if (held.signal.reason instanceof PartitionMovedError) moved += 1;
}

let moved = 0;
let oldest: HeldPartition | undefined;

class Worker {
  readonly coordinator: Coordinator;
  readonly partitions: Partitions;
  readonly #stop = new AbortController();
  #owning: Promise<unknown> | undefined;

  constructor(instanceId: string) {
    this.coordinator = createCoordinator({ namespace: 'example', instanceId });
    this.partitions = this.coordinator.partitions('orders', { count: COUNT });
  }

  start(): void {
    const { signal } = this.#stop;
    const work = async (partition: number, held: HeldPartition): Promise<void> => {
      if (partition === 0) oldest ??= held;
      await ship(this.coordinator.instanceId, partition, held);
    };
    this.#owning = this.partitions.own(work, { signal }).catch((error: unknown) => error);
  }

  async stop(reason: string): Promise<void> {
    this.#stop.abort(new Error(reason));
    await this.#owning;
  }
}

function owned(some: readonly Worker[]): number {
  return some.reduce((sum, { partitions }) => sum + partitions.standing().owned.length, 0);
}

const workers = [new Worker('ann'), new Worker('ben'), new Worker('cleo')] as const;
const [ann, ben, cleo] = workers;
for (let index = 0; index < ORDERS; index += 1) {
  const partition = ann.partitions.of(`order:${index}`);
  waiting.set(partition, [...(waiting.get(partition) ?? []), `order:${index}`]);
}

try {
  ann.start();
  while (owned([ann]) < COUNT) await sleep(5);
  console.log(`ann is alone and owns all ${COUNT} partitions.`);

  ben.start();
  cleo.start();
  while ([ben, cleo].some(({ partitions }) => partitions.standing().owned.length === 0)) await sleep(5);
  while (shipped.size < ORDERS / 2) await sleep(5);
  console.log(
    `ben and cleo have joined: ${moved} partitions went to them, each after ann had finished what was under way.`,
  );

  await ann.stop('ann is scaled in');
  while (shipped.size < ORDERS || owned([ben, cleo]) < COUNT) await sleep(5);
  const shares = workers.map(({ coordinator: { instanceId } }) => {
    const count = [...shipped.values()].filter((by) => by === instanceId).length;
    return `${instanceId} ${count}`;
  });
  console.log(`All ${ORDERS} orders are shipped, each once: ${shares.join(', ')}.`);

  const { token } = oldest ?? assert.fail('partition 0 was owned');
  assert.throws(() => guard.check('orders/0', token), StaleTokenError);
  console.log('Who owned partition 0 before is refused by its token.');
} finally {
  await Promise.all(workers.map(({ coordinator }) => coordinator.close()));
}
