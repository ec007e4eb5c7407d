import test from 'ava';
import { startEmbeddedEtcd, type EmbeddedEtcd } from '../../lib/testing/index.ts';
import { until } from '../lock/support/until.ts';
import { etcdVersions, type EtcdVersion } from '../provision/etcd.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { EtcdctlSession, type RunningEtcdctl } from './etcdctl-session.ts';

// etcdctl of each version prints of the embedded etcd what it prints of the real one of its version, command by command. What two
// servers cannot have in common is replaced in both: IDs, addresses, durations, and the sizes and raft indexes of `endpoint status`.

/** A command, and what it reads. */
type Step = string | readonly [command: string, input: string];

const sessions: Readonly<Record<string, readonly Step[]>> = {
  'put, get and del': [
    'put a 1',
    'put a 2 --prev-kv',
    'put a 3 -w json --prev-kv',
    'put b/é 4',
    ['put b/2', 'a value with\nlines\n'],
    'put a --ignore-value',
    'put missing --ignore-value',
    'put a 5 --lease=123',
    'put a x --ignore-value',
    'get a',
    'get a -w json',
    'get a -w fields',
    'get a --rev 3',
    'get a --rev 99',
    'get missing',
    'get missing -w json',
    'get b/ --prefix',
    'get b/ --prefix --keys-only',
    'get b/ --prefix --count-only -w fields',
    'get b/ --prefix --print-value-only',
    'get b --from-key',
    'get a b/3',
    'get b a',
    'get a --from-key --limit 2 -w json',
    'get a --from-key --sort-by MODIFY --order DESCEND',
    'get a --from-key --sort-by CREATE',
    'get a --from-key --sort-by VALUE --order ASCEND --limit 1 -w json',
    'get a --from-key --sort-by VERSION --order DESCEND',
    'get a --hex',
    'get a --consistency s',
    'del missing',
    'del a --prev-kv',
    'del b/ --prefix --prev-kv -w json',
    'put c 1',
    'put d 1',
    'del d --from-key',
    'del a d -w fields',
    'get a --from-key',
  ],
  transactions: [
    'put a 1',
    'put b 2',
    ['txn', 'mod("a") > "0"\n\nput c 1\nget a\ndel b\n\nput d 1\n\n'],
    ['txn', 'value("a") = "2"\n\nput c 2\n\nget a\nget z\n\n'],
    ['txn', 'ver("a") = "1"\ncreate("a") = "2"\nvalue("a") < "2"\n\nget a --prefix\n\n\n'],
    ['txn -w json', 'ver("missing") = "0"\n\nput e 1\ndel nothing\nget e\n\n\n'],
    ['txn -w fields', 'ver("missing") != "0"\n\n\ndel e --prev-kv\n\n'],
    ['txn', '\n\n\n'],
    ['txn', '\nput x 1\nput x 2\n\n\n'],
    ['txn', '\nput x 1\ndel x\n\n\n'],
    ['txn', '\nput x 1 --lease=99\n\n\n'],
    ['txn', 'value("missing") != "1"\n\nput x 1\n\nput y 1\n\n'],
    'get a --from-key -w json',
  ],
  leases: [
    'lease list',
    'lease grant 60',
    'lease timetolive $lease',
    'put a 1 --lease=$lease',
    'put b 2 --lease=$lease',
    'put a 2 --ignore-lease',
    'get a -w json',
    'lease timetolive $lease',
    'del b',
    'lease timetolive $lease --keys',
    'lease list',
    'lease keep-alive --once $lease',
    'lease grant 0',
    'lease grant 9000000001',
    'lease revoke $lease',
    'lease revoke $lease',
    'lease revoke 7b',
    'lease timetolive 7b',
    'lease keep-alive --once 7b',
    'get a',
  ],
  compaction: [
    'put a 1',
    'put a 2',
    'put a 3',
    'compaction 3',
    'compaction 3',
    'compaction 9',
    'compaction 4 --physical',
    'get a --rev 2',
    'get a --rev 4',
    'watch a --rev 2',
  ],
  'members and endpoints': [
    'member list',
    'member list -w json',
    'member list -w fields',
    'endpoint health',
    'endpoint status',
    'endpoint status -w json',
    'alarm list',
    'alarm disarm',
    'defrag',
  ],
};

for (const version of etcdVersions) {
  for (const [title, steps] of Object.entries(sessions)) {
    test.serial(`${title}: etcdctl ${version} prints the same of both`, async (t) => {
      await using pair = await Pair.start(version);
      for (const step of steps) {
        const [command, input = ''] = typeof step === 'string' ? [step] : step;
        const [theirs, ours] = await pair.both((session) => session.run(command.split(' '), input));
        t.deepEqual(ours, theirs, command);
      }
    });
  }

  test.serial(`watches: etcdctl ${version} prints the same of both`, async (t) => {
    await using pair = await Pair.start(version);
    for (const command of ['put a/1 1', 'put a/1 2', 'put b 1', 'del a/1', 'put a/2 1'])
      await pair.both((session) => session.run(command.split(' ')));
    const watches = [
      ['watch a/ --prefix --rev 1 --prev-kv', 19],
      ['watch a/ --prefix --rev 3 -w json', 2],
      ['watch b --rev 1 --progress-notify', 3 * 2],
      ['watch c', 3 * 2],
      ['watch c z', 3 * 2],
    ] as const;
    const running = await Promise.all(
      watches.map(async ([command]) => await pair.both(async (session) => session.start(command.split(' ')))),
    );
    // A watch without a revision sees nothing before it stands, and does not say when it does.
    await until(
      'the watches of the past to have told it',
      () =>
        running[0]?.every(({ lines }) => lines >= 16) === true && running[1]?.every(({ lines }) => lines >= 1) === true,
    );
    await until('the other watches to stand', async () => {
      await pair.both((session) => session.run(['put', 'c', 'probe']));
      return [running[3], running[4]].every((each) => each?.every(({ lines }) => lines > 0) === true);
    });
    for (const command of ['put c 1', 'put b 2', 'put a/3 3'])
      await pair.both((session) => session.run(command.split(' ')));
    for (const [index, [command, lines]] of watches.entries()) {
      const [theirs, ours] = await Promise.all(
        running[index]!.map(async (each) => {
          await until(`${lines} lines of ${command}`, () => each.lines >= lines);
          each.interrupt();
          return await each.end();
        }),
      );
      if (command.startsWith('watch c')) t.deepEqual(lastLines(ours!.output), lastLines(theirs!.output), command);
      else t.deepEqual(ours, theirs, command);
    }
  });

  test.serial(`etcdctl ${version} takes locks in turn, runs commands under them and gives them back`, async (t) => {
    await using pair = await Pair.start(version);
    await t.notThrowsAsync(pair.both((session) => takeTurns(session)));
    const [theirs, ours] = await pair.both((session) => session.run(['get', 'name', '--prefix']));
    t.deepEqual(ours, theirs);
    const [theirRun, ourRun] = await pair.both((session) =>
      session.run(['lock', 'name', 'sh', '-c', 'echo $ETCD_LOCK_REV']),
    );
    t.deepEqual(ourRun, theirRun);
  });

  test.serial(`etcdctl ${version} is elected, observes, and resigns`, async (t) => {
    await using pair = await Pair.start(version);
    const elections = await pair.both((session) => elect(session));
    t.deepEqual(elections[1], elections[0]);
  });
}

/** A real etcd and the embedded one, with the same etcdctl before each. */
class Pair implements AsyncDisposable {
  readonly #real: EtcdServer;
  readonly #embedded: EmbeddedEtcd;
  readonly #sessions: readonly EtcdctlSession[];

  private constructor(real: EtcdServer, embedded: EmbeddedEtcd) {
    this.#real = real;
    this.#embedded = embedded;
    this.#sessions = [real, embedded].map(({ endpoint }) => new EtcdctlSession(real.binaries.etcdctl, endpoint));
  }

  static async start(version: EtcdVersion): Promise<Pair> {
    const real = await EtcdServer.start({ version, access: 'plain' });
    return new Pair(real, await startEmbeddedEtcd({ version: real.binaries.version }));
  }

  /** What the real etcd's session gives, and the embedded one's. */
  async both<T>(act: (session: EtcdctlSession) => Promise<T>): Promise<readonly T[]> {
    return await Promise.all(this.#sessions.map(act));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions) session.kill();
    await this.#embedded.stop();
    await this.#real[Symbol.asyncDispose]();
  }
}

async function takeTurns(session: EtcdctlSession): Promise<void> {
  const first = session.start(['lock', 'name']);
  await until('the first lock', () => first.lines > 0);
  const second = session.start(['lock', 'name']);
  await until('a second key in the queue', async () => await countKeys(session, 'name', 2));
  if (second.lines > 0) throw new Error('Expected the second lock to wait');
  first.interrupt();
  await until('the second lock', () => second.lines > 0);
  second.interrupt();
  await Promise.all([first.end(), second.end()]);
  await until('an empty queue', async () => await countKeys(session, 'name', 0));
}

async function elect(session: EtcdctlSession): Promise<readonly unknown[]> {
  const observer = session.start(['elect', '-l', 'crown']);
  const first = session.start(['elect', 'crown', 'one']);
  await until('the first leader', () => first.lines === 2);
  const second = session.start(['elect', 'crown', 'two']);
  await until('a second candidate', async () => await countKeys(session, 'crown', 2));
  await until('the first leader to be seen', () => observer.lines >= 2);
  first.interrupt();
  await until('the second leader', () => second.lines === 2);
  await until('the second leader to be seen', () => observer.lines >= 4);
  second.interrupt();
  observer.interrupt();
  const values = async (each: RunningEtcdctl): Promise<readonly string[]> =>
    (await each.end()).output.split('\n').filter((_, index) => index % 2 === 1);
  return [await values(observer), await values(first), await values(second)];
}

async function countKeys(session: EtcdctlSession, prefix: string, count: number): Promise<boolean> {
  const { output } = await session.run(['get', prefix, '--prefix', '--keys-only']);
  return output.split('\n').filter((line) => line !== '').length === count;
}

function lastLines(output: string): readonly string[] {
  return output.trimEnd().split('\n').slice(-3);
}
