import test from 'ava';
import { accessTo } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { ClientProcess } from './support/client-process.ts';
import { testedVersions } from './support/clients.ts';
import { GuardedCounter } from './support/guarded-counter.ts';
import { until } from './support/until.ts';

const workers = 4;
const sessionMs = 2_000;

interface Run {
  readonly server: EtcdServer;
  readonly counter: GuardedCounter;
  /** Of each worker. */
  readonly count: number;
  readonly pauses: number;
}

/**
 * Lets the workers increment the counter together. As often as told, at even distances, the worker that has just read is paused
 * until another one has read, and one that waits together with it.
 */
async function incrementTogether({ server, counter, count, pauses }: Run): Promise<{ acknowledged: number }> {
  const options = { endpoints: server.endpoint, namespace: 'test', ...accessTo(), session: { ttlMs: sessionMs } };
  const clients = await Promise.all(Array.from({ length: workers }, () => ClientProcess.start(options, counter)));
  let paused = 0;
  const wakes: Promise<void>[] = [];
  counter.onRead = (reader, token) => {
    if (paused === pauses || counter.accepted.length < ((paused + 1) * workers * count) / (pauses + 2)) return;
    paused += 1;
    const others = clients.filter((client) => client !== reader);
    const stopped = [reader, others[Math.floor(Math.random() * others.length)] as ClientProcess];
    for (const client of stopped) client.pause();
    wakes.push(
      until('a successor of the paused worker', () => counter.highest > token).then(() => {
        for (const client of stopped) client.resume();
      }),
    );
  };
  try {
    const results = await Promise.all(clients.map((client) => client.call('increment', 'counter', count)));
    await Promise.all(wakes);
    return { acknowledged: results.reduce((sum, { acknowledged }) => sum + acknowledged, 0) };
  } finally {
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
  }
}

for (const [version, count, pauses] of [
  [testedVersions[0], 50, 3],
  [testedVersions[1], 200, 5],
] as const) {
  test.serial(
    `etcd ${version}: ${workers} processes that are paused as they work lose none of ${workers} × ${count} guarded increments`,
    async (t) => {
      await using server = await EtcdServer.start({ version });
      const counter = new GuardedCounter();
      const { acknowledged } = await incrementTogether({ server, counter, count, pauses });

      t.is(acknowledged, workers * count);
      t.is(counter.value, workers * count);
      t.is(counter.accepted.length, workers * count);
      t.true(counter.accepted.every((token, index) => index === 0 || token >= counter.accepted[index - 1]!));
      /* Otherwise the pauses have tested nothing. */
      t.true(counter.refusals >= pauses, `${counter.refusals} for ${pauses} pauses`);
      t.log(`${counter.refusals} stale writes were refused`);
    },
  );
}

test.serial('without the guard a single pause loses updates', async (t) => {
  await using server = await EtcdServer.start();
  const counter = new GuardedCounter({ guarded: false });
  const { acknowledged } = await incrementTogether({ server, counter, count: 25, pauses: 1 });
  t.is(acknowledged, workers * 25);
  t.true(counter.value < acknowledged, `${counter.value} of ${acknowledged}`);
  t.log(`${acknowledged - counter.value} of ${acknowledged} updates were lost`);
});
