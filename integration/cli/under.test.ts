import test from 'ava';
import { FaultProxy } from '../../lib/testing/fault-proxy.ts';
import { Clients } from '../lock/support/clients.ts';
import { until } from '../lock/support/until.ts';
import { environmentTo } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { HoldfastProcess, isAlive } from './holdfast-process.ts';

/** A command that does not mind being asked to stop, with a child of its own. It says who it is. */
const STUBBORN = 'trap "" TERM INT; sleep 1000 & echo "$$ $!"; while :; do sleep 0.1; done';

/**
 * Its tenth is what a guardian, or a holdfast, may be late by without a successor who meets the command: a busy machine needs two seconds. The cases
 * that wait for it do so side by side, at one etcd, each with a name of its own.
 */
const TTL = ['--ttl', '20s'];

let server: EtcdServer;
test.before(async () => {
  server = await EtcdServer.start({ version: '3.5.30' });
});
test.after.always(() => server?.[Symbol.asyncDispose]());

let named = 0;
/** Of a lock or an election that no other case has. */
const newName = (): string => `a${(named += 1)}`;

/** The guardian of a `holdfast`: its only child. */
function guardianOf({ children }: HoldfastProcess): number {
  return children[0] ?? 0;
}

interface Trouble {
  readonly what: string;
  readonly hit: (holdfast: HoldfastProcess, proxy: FaultProxy) => void;
  /** So that all of it can end. */
  readonly end?: (holdfast: HoldfastProcess) => void;
  /** How `holdfast` ends, where it does not vanish. */
  readonly code?: number;
}

let stopped = 0;

const troubles: readonly Trouble[] = [
  { what: 'is cut off from etcd', hit: (_, proxy) => proxy.blackhole(), code: 76 },
  { what: 'gets no answers', hit: (_, proxy) => proxy.dropResponses(), code: 76 },
  { what: 'is killed', hit: (holdfast) => void process.kill(holdfast.pid, 'SIGKILL') },
  {
    what: 'is stopped',
    hit: (holdfast) => void process.kill(holdfast.pid, 'SIGSTOP'),
    end: (holdfast) => void process.kill(holdfast.pid, 'SIGCONT'),
    code: 76,
  },
  {
    what: 'has a guardian that is killed',
    hit: (holdfast) => void process.kill(guardianOf(holdfast), 'SIGKILL'),
    code: 76,
  },
  {
    what: 'has a guardian that is stopped, and is cut off',
    hit: (holdfast, proxy) => {
      stopped = guardianOf(holdfast);
      process.kill(stopped, 'SIGSTOP');
      proxy.blackhole();
    },
    /* It has been killed, or else holds open what the test would wait for. */
    end: () => void (isAlive(stopped) && process.kill(stopped, 'SIGCONT')),
    code: 76,
  },
];

for (const command of ['lock', 'elect'] as const) {
  for (const { what, hit, end, code } of command === 'lock' ? troubles : troubles.slice(0, 1)) {
    test(`holdfast ${command} that ${what}: the command and its children are dead before anybody else has it`, async (t) => {
      const name = newName();
      await using proxy = await FaultProxy.start(server.endpoint);
      await using clients = new Clients();
      const environment = environmentTo(proxy.endpoint);
      await using holdfast = new HoldfastProcess([command, name, ...TTL, '--', 'sh', '-c', STUBBORN], environment);
      await until('the command to run', () => holdfast.out.includes('\n'));
      const pids = holdfast.out.trim().split(' ').map(Number);
      t.true(pids.length === 2 && pids.every(isAlive));

      const other = await clients.connect(server.endpoint);
      const next = command === 'lock' ? other.lock(name).acquire() : other.election(name).campaign();
      const alive = next.then(() => pids.filter(isAlive));
      try {
        hit(holdfast, proxy);
        t.deepEqual(await alive, []);
      } finally {
        end?.(holdfast);
      }
      if (code !== undefined) t.is((await holdfast.ended).code, code);
    });
  }
}

/** A shell that ends at once when it is asked to stop, unlike its child. */
const SURVIVED = 'sh -c \'trap "" TERM INT; while :; do sleep 0.1; done\' & echo "$$ $!"; wait';

for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
  test(`holdfast that gets ${signal}: a child that outlives the command it is of is dead before anybody else has the lock`, async (t) => {
    const name = newName();
    await using clients = new Clients();
    const environment = environmentTo(server.endpoint);
    await using holdfast = new HoldfastProcess(['lock', name, ...TTL, '--', 'sh', '-c', SURVIVED], environment);
    await until('the command to run', () => holdfast.out.includes('\n'));
    const pids = holdfast.out.trim().split(' ').map(Number);
    t.true(pids.length === 2 && pids.every(isAlive));

    const other = await clients.connect(server.endpoint);
    const alive = other
      .lock(name)
      .acquire()
      .then(() => pids.filter(isAlive));
    process.kill(holdfast.pid, signal);
    const survivors = await alive;
    /* It would hold open what the test would wait for. */
    for (const pid of survivors) process.kill(pid, 'SIGKILL');
    t.deepEqual(survivors, []);
    t.is((await holdfast.ended).code, signal === 'SIGKILL' ? null : 143);
  });
}

test.serial(
  'a holdfast that is killed while its guardian is starting leaves neither that nor the command',
  async (t) => {
    const environment = environmentTo(server.endpoint);
    await using holdfast = new HoldfastProcess(['lock', newName(), ...TTL, '--', 'sh', '-c', STUBBORN], environment);
    await until('the guardian to be there', () => holdfast.children.length > 0);
    const guardian = guardianOf(holdfast);
    holdfast.child.kill('SIGKILL');
    await until('the guardian to end', () => !isAlive(guardian));
    const { out, code } = await holdfast.ended;
    t.is(code, null);
    t.is(out, '');
  },
);

test('the command gets the token and the name, and its exit code is passed on', async (t) => {
  await using server = await EtcdServer.start({ version: '3.5.30' });
  await using clients = new Clients();
  const environment = environmentTo(server.endpoint);
  const run = async (...words: string[]) => {
    await using holdfast = new HoldfastProcess(words, environment);
    return await holdfast.ended;
  };
  const told = await run('lock', 'a', '--', 'sh', '-c', 'echo "$HOLDFAST_TOKEN $HOLDFAST_NAME"; exit 7');
  t.is(told.code, 7);
  t.regex(told.out, /^\d+ a\n$/);
  t.is((await run('lock', 'a', '--', 'sh', '-c', 'kill -9 $$')).code, 137);
  t.is((await run('lock', 'a', '--', '/nothing/there')).code, 127);
  t.is((await run('lock', 'a')).code, 64);
  t.is((await run('lock', 'a', '--grace', '9s', '--ttl', '10s', '--', 'true')).code, 64);

  const coordinator = await clients.connect(server.endpoint);
  const held = await coordinator.lock('a').acquire();
  t.true(held.token > BigInt(told.out.split(' ')[0] ?? ''));
  t.is((await run('lock', 'a', '--try', '--', 'true')).code, 75);
  t.is((await run('lock', 'a', '--timeout', '10s', '--', 'true')).code, 75);
  t.is((await run('lock', 'a', '--grace', '9s', '--ttl', '10s', '--timeout', '200ms', '--', 'true')).code, 64);
  await held.release();
  t.is((await run('elect', 'a', '--value', 'here', '--', 'true')).code, 0);
  /* The number of a loss, by the command itself: it has ended, and does not begin anew. */
  const again = await run('elect', 'a', '--again', '--', 'sh', '-c', 'echo once; exit 76');
  t.deepEqual([again.code, again.out], [76, 'once\n']);
  await server.stop({ signal: 'SIGKILL' });
  t.is((await run('lock', 'a', '--timeout', '300ms', '--', 'true')).code, 69);
});

test('a signal reaches the command, which decides; what it held is free at once', async (t) => {
  await using server = await EtcdServer.start({ version: '3.5.30' });
  await using clients = new Clients();
  const environment = environmentTo(server.endpoint);
  const script = 'trap "echo told; exit 5" TERM; echo runs; while :; do sleep 0.05; done';
  await using holdfast = new HoldfastProcess(['lock', 'a', '--ttl', '60s', '--', 'sh', '-c', script], environment);
  await until('the command to run', () => holdfast.out.includes('runs'));
  holdfast.child.kill('SIGTERM');
  const { code, out } = await holdfast.ended;
  t.is(code, 5);
  t.is(out, 'runs\ntold\n');
  const coordinator = await clients.connect(server.endpoint);
  t.true((await coordinator.lock('a').tryAcquire())?.isHeld());
});
