/**
 * A process that dies between the effect of its work and the record of it. Argument: the options of its coordinator, as JSON. It says its
 * key and its token, which stand for the effect, and is killed.
 */
import { createCoordinator, type CoordinatorOptions } from '../../lib/index.ts';

const [, , options = '{}'] = process.argv;
const coordinator = createCoordinator(JSON.parse(options) as CoordinatorOptions);
await coordinator.once('a', async ({ key, token }) => {
  await new Promise<void>((resolve) => {
    process.stdout.write(`${key} ${token}`, () => resolve());
  });
  process.kill(process.pid, 'SIGKILL');
  return new Promise(() => {});
});
