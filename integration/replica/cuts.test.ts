import test from 'ava';
import { followAcrossCuts } from './cuts.ts';

/* `npm run test:cuts` asks for more of them, and for new ones each time. */
const seeds = Number(process.env['HOLDFAST_CUT_SEEDS'] ?? 1);
const first = seeds === 1 ? 1 : Math.floor(Math.random() * 1_000_000);

for (const version of ['3.4', '3.5.30'] as const) {
  for (let seed = first; seed < first + seeds; seed += 1) {
    test.serial(
      `etcd ${version}, seed ${seed}: across 5,000 writes, cuts, a compaction, a kill and two restores nothing is missed or repeated unannounced`,
      async (t) => {
        const report = await followAcrossCuts(version, seed, 5_000, (line) => t.log(line));
        t.log(report);
        t.true(report.events >= 5_000 && report.failedWrites > 0);
        for (const [index, resyncs] of report.resyncs.entries()) {
          t.true(resyncs >= 3, 'a compaction and two restores cannot be told as events');
          /* Fewer than resyncs where a watch stayed away from one to the next: what each said leads on from the one before. */
          const gaps = report.gaps[index] ?? 0;
          t.true(gaps >= 1 && gaps <= resyncs);
        }
      },
    );
  }
}
