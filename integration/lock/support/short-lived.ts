/**
 * A process that closes its coordinator and then has nothing left to do. It must end by itself: nothing here calls process.exit().
 * Arguments: the options of its coordinator, as JSON; what it does before it closes; how long closing may drain, in milliseconds.
 * Its last line is what the coordinator has left active, as JSON.
 */
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { createCoordinator, type CoordinatorOptions } from '../../../lib/index.ts';

const [options = '{}', mode = 'idle', drainMs = '1000'] = process.argv.slice(2);
/* Opens it: it is not the coordinator's. */
process.stdout.write('');
const before = process.getActiveResourcesInfo();
const coordinator = createCoordinator(JSON.parse(options) as CoordinatorOptions);

switch (mode) {
  case 'idle':
    break;
  case 'start':
    await coordinator.ready({ timeoutMs: 1_000 }).catch(() => {});
    break;
  case 'work': {
    await coordinator.lock('a').with(() => {});
    const held = await coordinator.lock('b').acquire();
    await coordinator
      .lock('b')
      .acquire({ timeoutMs: 100 })
      .catch(() => {});
    await coordinator.lock('c').inspect();
    await held.release();
    break;
  }
  case 'stuck': {
    /* The work takes no notice of its signal. Until SIGTERM, it is the coordinator that keeps the process alive. */
    const told = once(process, 'SIGTERM');
    const begun = new Promise<void>((resolve) => {
      const work = (): Promise<never> => {
        resolve();
        return new Promise(() => {});
      };
      coordinator
        .lock('a')
        .with(work)
        .catch(() => {});
    });
    await begun;
    process.stdout.write('begun\n');
    await told;
    break;
  }
}
await coordinator.close({ drainMs: Number(drainMs) });
/* What was destroyed is gone after a turn of the event loop. */
for (let turns = 0; turns < 3; turns += 1) await turn();
const left = process.getActiveResourcesInfo();
for (const resource of before) {
  const index = left.indexOf(resource);
  if (index >= 0) left.splice(index, 1);
}
process.stdout.write(`${JSON.stringify(left)}\n`);
