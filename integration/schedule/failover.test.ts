import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { createCoordinator } from '../../lib/index.ts';
import { accessTo } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { WorkerProcess, type Start } from './worker-process.ts';

const WORKERS = 10;
const TTL_MS = 2_000;
/** Every other one is a pause. */
const TROUBLES = 12;
const TROUBLE_MS = 5_000;

test('ten processes have a job of every second, and its leader is killed or paused again and again: no double start, no tick lost', async (t) => {
  t.timeout(240_000);
  await using server = await EtcdServer.start({ version: '3.5.30' });
  const options = { endpoints: server.endpoint, namespace: 'test', ...accessTo(), session: { ttlMs: TTL_MS } };
  const starts: Start[] = [];
  const workers = new Map<string, WorkerProcess>();
  let born = 0;
  const give = (): void => {
    born += 1;
    const worker = new WorkerProcess({ ...options, instanceId: `w${born}` }, (start) => starts.push(start));
    workers.set(worker.name, worker);
  };
  t.teardown(() => Promise.all([...workers.values()].map((worker) => worker[Symbol.asyncDispose]())));
  for (let index = 0; index < WORKERS; index += 1) give();

  /** Whoever has started something since the last trouble, for how long ever that takes. */
  const leading = async (): Promise<WorkerProcess> => {
    const before = starts.length;
    for (;;) {
      const leader = starts.length > before ? workers.get(starts.at(-1)?.by ?? '') : undefined;
      if (leader !== undefined) return leader;
      await sleep(50);
    }
  };
  for (let trouble = 1; trouble <= TROUBLES; trouble += 1) {
    const leader = await leading();
    if (trouble % 2 === 1) {
      workers.delete(leader.name);
      await leader[Symbol.asyncDispose]();
      give();
      await sleep(TROUBLE_MS);
    } else {
      leader.pause();
      await sleep(TROUBLE_MS - 500);
      leader.resume();
      await sleep(500);
    }
  }
  /* The last trouble is over, and what it has left is done once more. */
  const before = starts.length;
  while (starts.length < before + 5) await sleep(50);

  await using coordinator = createCoordinator(options);
  const job = coordinator.schedule('beat', '* * * * * *', () => {});
  await job.stop();
  const history = (await job.history({ limit: 1_000 })).toReversed();
  const runs = history.filter((record) => record.state !== 'missed');
  const states = new Map<string, number>();
  for (const { state } of history) states.set(state, (states.get(state) ?? 0) + 1);
  t.log(
    `${starts.length} starts by ${new Set(starts.map(({ by }) => by)).size} of ${born} processes`,
    Object.fromEntries(states),
  );

  const attempts = starts.map(({ scheduledFor, attempt }) => `${new Date(scheduledFor).toISOString()} ${attempt}`);
  t.is(new Set(attempts).size, attempts.length, 'no attempt at a tick was started twice');
  for (const { by, scheduledFor, attempt, token } of starts) {
    const record = runs.find((run) => run.token === token);
    t.is(record?.scheduledFor.getTime(), scheduledFor, `the start of ${attempt} by ${by} has a record`);
  }
  const tokens = runs.map(({ token }) => token);
  t.is(new Set(tokens).size, tokens.length, 'no two runs have one token');
  const instants = runs.map(({ scheduledFor }) => scheduledFor.getTime());
  const [first, last] = [Math.min(...instants), Math.max(...instants)];
  const accounted = new Set(instants);
  for (const record of history) {
    if (record.state !== 'missed') continue;
    for (let at = record.scheduledFor.getTime(); at <= record.until.getTime(); at += 1_000) accounted.add(at);
  }
  for (let at = first; at <= last; at += 1_000) t.true(accounted.has(at), `${new Date(at).toISOString()} is lost`);
  /* All but what runs at this moment has come to an end that is written down. */
  const open = runs.filter(({ state, scheduledFor }) => state === 'started' && scheduledFor.getTime() < last - 5_000);
  t.deepEqual(open, []);
});
