import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import {
  createCoordinator,
  type Coordinator,
  type Job,
  type JobRecord,
  type RunRecord,
  type Tick,
} from '../../lib/index.ts';
import { accessTo } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';

const connect = (endpoint: string, instanceId: string): Coordinator =>
  createCoordinator({ endpoints: endpoint, namespace: 'test', instanceId, ...accessTo() });

interface Start {
  readonly by: string;
  readonly tick: Tick;
}

/** Oldest first. */
async function runsOf(job: Job): Promise<readonly RunRecord[]> {
  const history = await job.history({ limit: 1_000 });
  return history.filter((record): record is RunRecord => record.state !== 'missed').toReversed();
}

function ticksOf(records: readonly JobRecord[]): number {
  return records.reduce(
    (sum, record) => sum + (record.state === 'missed' ? record.count : record.attempt === 1 ? 1 : 0),
    0,
  );
}

for (const version of ['3.4', '3.5.30'] as const) {
  test(`etcd ${version}: a job of every second goes on when its leader's lease is revoked, and starts nothing twice`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using one = connect(server.endpoint, 'one');
    await using two = connect(server.endpoint, 'two');
    const starts: Start[] = [];
    const jobs = [one, two].map((coordinator) =>
      coordinator.schedule(
        'beat',
        '* * * * * *',
        async (tick) => {
          starts.push({ by: coordinator.instanceId, tick });
          await sleep(50);
        },
        { missed: 'all', onLeaderLoss: 'retry' },
      ),
    );
    while (starts.length < 4) await sleep(50);
    const leader = starts.at(-1)!.by === 'one' ? one : two;
    await server.etcdctl(['lease', 'revoke', leader.session!.lease]);
    const before = starts.length;
    while (starts.length < before + 4) await sleep(50);
    await Promise.all(jobs.map((job) => job.stop()));

    t.is(new Set(starts.map(({ by }) => by)).size, 2, 'the other one took over');
    const ids = starts.map(({ tick }) => `${tick.scheduledFor.toISOString()} ${tick.attempt}`);
    t.is(new Set(ids).size, ids.length, 'no attempt at a tick was started twice');
    const tokens = starts.map(({ tick }) => tick.token);
    t.deepEqual(
      tokens,
      tokens.toSorted((a, b) => (a < b ? -1 : 1)),
      'tokens rise from start to start',
    );

    const history = await jobs[0]!.history({ limit: 1_000 });
    const runs = await runsOf(jobs[0]!);
    t.deepEqual(
      runs.filter(({ state }) => state === 'started'),
      [],
      'it is recorded how every run ended',
    );
    const isBegun = ({ token }: RunRecord): boolean => tokens.includes(token);
    t.deepEqual(
      runs.filter(isBegun).map(({ token }) => token),
      tokens,
    );
    /* What is on record, and was answered when the leader was none any more, is left to the next one. */
    for (const { state, scheduledFor, attempt } of runs.filter((run) => !isBegun(run))) {
      const next = runs.find((run) => +run.scheduledFor === +scheduledFor && run.attempt === attempt + 1);
      t.deepEqual([state, next?.attempt], ['abandoned', attempt + 1]);
    }
    const instants = runs.map(({ scheduledFor }) => scheduledFor.getTime());
    const seconds = (Math.max(...instants) - Math.min(...instants)) / 1_000 + 1;
    t.is(ticksOf(history), seconds, 'every second was started or is recorded as missed');
  });
}

test('a job is triggered, paused and resumed for the whole cluster', async (t) => {
  await using server = await EtcdServer.start();
  await using one = connect(server.endpoint, 'one');
  await using two = connect(server.endpoint, 'two');
  const starts: Start[] = [];
  const [, job] = [one, two].map((coordinator) =>
    coordinator.schedule('yearly', '0 0 1 1 *', (tick) => {
      starts.push({ by: coordinator.instanceId, tick });
    }),
  );
  const asked = await job!.trigger();
  while (starts.length === 0) await sleep(20);
  t.deepEqual(starts[0]!.tick.scheduledFor, asked);
  await job!.pause();
  t.is((await job!.status()).paused?.by, 'two');
  await t.throwsAsync(job!.trigger(), { code: 'JOB_PAUSED' });
  await job!.resume();
  await job!.trigger();
  while (starts.length === 1) await sleep(20);
  t.true(starts[1]!.tick.token > starts[0]!.tick.token);
});
