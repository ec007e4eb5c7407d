/**
 * `npm run bench [-- --quick]`: what a thing costs, as a ratio to the raw limit of the same run. Absolute times say more about the machine
 * and the hour than about the code, so none are printed. `--quick` shows that it works, not how fast.
 */
import { parseArgs } from 'node:util';
import { EtcdServer } from '../integration/servers/etcd-server.ts';
import { lockCycle, type Row } from './lock-cycle.ts';

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
const rounds = values.quick ? 2 : 7;

await using etcd = await EtcdServer.start();
console.log(
  `etcd ${etcd.binaries.version}, Node ${process.versions.node}, ${rounds} interleaved rounds. Times of one raw transaction:\n`,
);
for (const callers of [1, 64]) {
  const operations = (values.quick ? 50 : 400) * (callers === 1 ? 1 : 4);
  print(
    `uncontended, ${callers === 1 ? '1 caller' : `${callers} callers, ${callers} locks`}`,
    await lockCycle({
      endpoint: etcd.endpoint,
      callers,
      rounds,
      operations,
    }),
  );
}

function print(title: string, rows: readonly Row[]): void {
  console.log(title);
  for (const { name, median, least, greatest, guarantee } of rows) {
    const range = `(${least.toFixed(2)}–${greatest.toFixed(2)})`;
    console.log(`  ${name.padEnd(26)} ${median.toFixed(2).padStart(6)} × ${range.padEnd(15)} ${guarantee}`);
  }
  console.log();
}
