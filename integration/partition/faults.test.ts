import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { SeededRandom } from '../../lib/testing/seeded-random.ts';
import { machineMs } from '../election/machine-clock.ts';
import { electionMs } from '../lock/support/clients.ts';
import { until } from '../lock/support/until.ts';
import { accessTo } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { Crew } from './crew.ts';
import type { OwnerProcess } from './owner-process.ts';
import { checkPeriods, moved, type Incident } from './periods.ts';

/* The bar: ten members, 64 partitions, members hit every few seconds. */

const MEMBERS = 10;
const COUNT = 64;
const ttlMs = 3_000;
const limits = { againMs: ttlMs + 2 * electionMs + 2_000, deliveryMs: 250 };

interface Fault {
  readonly name: string;
  readonly isDeposed?: boolean;
  readonly hit: (owner: OwnerProcess, server: EtcdServer) => unknown;
  /** Ends it, so that the owner can have its share again. */
  readonly end?: (owner: OwnerProcess) => unknown;
}

const byNumber = (a: number, b: number): number => a - b;

const heal = ({ proxy }: OwnerProcess): void => proxy.heal();

const faults: readonly Fault[] = [
  { name: 'killed', hit: (owner) => owner.kill(), end: (owner) => owner.revive() },
  { name: 'stopped past its TTL', hit: (owner) => owner.pause(), end: (owner) => owner.resume() },
  { name: 'behind a blackhole', hit: ({ proxy }) => proxy.blackhole(), end: heal },
  { name: 'without answers', hit: ({ proxy }) => proxy.dropResponses(), end: heal },
  { name: 'not heard', hit: ({ proxy }) => proxy.dropRequests(), end: heal },
  { name: 'cut off', hit: ({ proxy }) => proxy.cut(), end: heal },
  {
    name: 'robbed of its lease by an operator',
    isDeposed: true,
    hit: async ({ instanceId }, server) => {
      const sessions = await server.etcdctl(['get', '--prefix', 'test/session/']);
      const lines = sessions.split('\n');
      const at = lines.findIndex((line) => line.includes(`"${instanceId}"`));
      await server.etcdctl(['lease', 'revoke', lines[at - 1]?.split('/').at(-1) ?? '']);
    },
  },
  { name: 'killed once more', hit: (owner) => owner.kill(), end: (owner) => owner.revive() },
];

for (const version of ['3.4', '3.5.30'] as const) {
  test.serial(`etcd ${version}: never two owners, all owned again in time, and only what has to moves`, async (t) => {
    t.timeout(240_000);
    await using server = await EtcdServer.start({ version });
    await using crew = await Crew.start({
      endpoint: server.endpoint,
      size: MEMBERS,
      count: COUNT,
      coordinator: {
        namespace: 'test',
        ...accessTo(),
        session: { ttlMs },
        request: { timeoutMs: 1_000, deadlineMs: 3_000 },
      },
    });
    const random = new SeededRandom(version === '3.4' ? 1 : 2);
    const incidents: Incident[] = [];
    for (const { name, isDeposed = false, hit, end } of faults) {
      /* Whoever comes back has what it had: the same members, the same shares. */
      const before = await crew.settled();
      const owner = crew.owners[random.integer(0, MEMBERS - 1)]!;
      const { instanceId } = owner;
      const at = machineMs();
      await hit(owner, server);
      incidents.push({ fault: name, owner: instanceId, at, before, isDeposed });
      if (isDeposed) {
        await until('it to be told', () => moved(before, crew.owned()).length > 0 || crew.owned().size < COUNT);
        continue;
      }
      const after = await crew.settled(crew.owners.filter((each) => each !== owner));
      const itsOwn = [...before].filter(([, each]) => each === instanceId).map(([partition]) => partition);
      /* Nothing moves but what it had. */
      t.deepEqual(moved(before, after).toSorted(byNumber), itsOwn.toSorted(byNumber));
      t.log(`${name}: ${itsOwn.length} of ${COUNT} partitions moved`);
      await sleep(random.integer(0, 500));
      await end?.(owner);
    }
    await crew.settled();
    checkPeriods(crew.periods, incidents, limits, crew.stalls);
  });
}
