import { machineNow, systemClock } from '../../runtime/clock.ts';
import type { Order, Report, WorkerOptions } from './order.ts';
import { Worker } from './worker.ts';

/* Ctrl-C reaches every process of a terminal; the demo decides what it means. */
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => {});

let heirloom: number | undefined;

/** The demo is gone, or we are done. A worker that it has stopped would stay so for ever. */
function end(): never {
  if (heirloom !== undefined) {
    try {
      process.kill(heirloom, 'SIGKILL');
    } catch {
      /* It has ended. */
    }
  }
  process.exit();
}

process.on('disconnect', end);
/* It can have gone while all of this was still being loaded, and nobody says so twice. */
if (!process.connected) end();

const worker = new Worker(
  systemClock,
  JSON.parse(process.argv[2] ?? '{}') as WorkerOptions,
  (said, at = machineNow().monotonicMs) => {
    const report: Report = { said, at };
    if (process.connected) process.send?.(report, undefined, undefined, () => {});
  },
);

async function obey(order: Order): Promise<void> {
  if (order.do === 'inherit') heirloom = order.pid;
  else await worker.take(order);
  if (order.do === 'close') process.disconnect();
}

process.on('message', (order: Order) => void obey(order));

await worker.run();
