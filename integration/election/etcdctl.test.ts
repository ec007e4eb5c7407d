import { once } from 'node:events';
import test from 'ava';
import { unpackToken, type Election, type Leader } from '../../lib/index.ts';
import { Clients, storedKeys, testedVersions } from '../lock/support/clients.ts';
import { until } from '../lock/support/until.ts';
import { userOf } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';

/* etcdctl is etcd's Go package `concurrency` with a command line. */

const name = 'test/election/a';

/** An `etcdctl elect`, with the lines that it has printed. */
class Elect implements Disposable {
  readonly lines: string[] = [];
  readonly #child: ReturnType<EtcdServer['spawnEtcdctl']>;

  constructor(server: EtcdServer, args: readonly string[]) {
    this.#child = server.spawnEtcdctl(['elect', name, ...args], { user: userOf() });
    let rest = '';
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      this.lines.push(...lines);
    });
  }

  /** A key and its value for each leader: of the election that it listens to, or itself once it is elected. */
  get leaders(): string[] {
    return this.lines.filter((_, index) => index % 2 === 1);
  }

  /** Resigns, and resolves when it has ended. */
  async interrupt(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGINT');
    await ended;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  [Symbol.dispose](): void {
    this.kill();
  }
}

function queued(server: EtcdServer, count: number): Promise<unknown> {
  return until(`${count} keys in the queue`, async () => (await storedKeys(server, `${name}/`)).length === count);
}

/** What an observer is told, as it comes. */
function observed(election: Election): (Leader | undefined)[] {
  const seen: (Leader | undefined)[] = [];
  void (async () => {
    for await (const leader of election.observe()) seen.push(leader);
  })();
  return seen;
}

for (const version of testedVersions) {
  test(`etcdctl ${version} elect --listen sees our leaders with exactly what they proclaim`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const [one, two] = await Promise.all([clients.connect(server.endpoint), clients.connect(server.endpoint)]);
    using listener = new Elect(server, ['--listen']);
    const values = ['http://10.0.0.7:80/?a=b&c', ' "quoted", {"json": true} and ünï✓ ', '', 'the other'];
    const first = await one.election('a').campaign({ value: values[0] });
    const waiting = two.election('a').campaign({ value: values[3] });
    await queued(server, 2);
    await until('the first value', () => listener.leaders.length === 1);
    for (const [index, value] of values.slice(1, 3).entries()) {
      await first.proclaim(value);
      await until('another value', () => listener.leaders.length === index + 2);
    }
    await first.resign();
    const second = await waiting;
    await until('the other leader', () => listener.leaders.length === 4);
    t.deepEqual(listener.leaders, values);
    await second.resign();
  });

  test(`an etcdctl ${version} elect waits behind our leader, and is elected when it resigns`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const coordinator = await clients.connect(server.endpoint, { instanceId: 'ours' });
    const election = coordinator.election('a');
    const seen = observed(election);
    await until('absence', () => seen.length === 1);
    const leadership = await election.campaign({ value: 'our value' });
    using candidate = new Elect(server, ['their value']);
    await queued(server, 2);
    const { holder, waiters } = await election.inspect();
    t.is(holder?.token, leadership.token);
    t.deepEqual(
      waiters.map(({ instanceId }) => instanceId),
      [undefined],
    );
    t.deepEqual(candidate.lines, []);

    await leadership.resign();
    await until('its election', () => candidate.leaders.length === 1);
    t.deepEqual(candidate.leaders, ['their value']);
    const theirs = await until('their leader', () => seen.at(-1)?.value === 'their value' && seen.at(-1));
    t.deepEqual(await election.leader(), theirs);
    t.is(theirs && theirs.instanceId, undefined);

    await candidate.interrupt();
    await until('nobody', () => seen.length === 4);
    t.deepEqual(
      seen.map((leader) => leader && `${leader.instanceId ?? 'a stranger'}: ${leader.value}`),
      [undefined, 'ours: our value', 'a stranger: their value', undefined],
    );
    t.is(await election.leader(), undefined);
  });

  test(`a candidate of ours waits behind an etcdctl ${version} elect, until it resigns or an operator revokes its lease`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const coordinator = await clients.connect(server.endpoint, { instanceId: 'ours' });
    const election = coordinator.election('a');
    for (const ending of ['resigns', 'is revoked']) {
      using theirs = new Elect(server, ['their value']);
      await until('their election', () => theirs.leaders.length === 1);
      const [key] = await storedKeys(server, `${name}/`);
      const leader = await election.leader();
      t.like(leader, { instanceId: undefined, value: 'their value' });
      t.is(unpackToken(leader?.token ?? 0n).revision, key!.createRevision);

      let isElected = false;
      const campaign = election.campaign({ value: 'our value' }).finally(() => (isElected = true));
      await queued(server, 2);
      t.false(isElected);
      if (ending === 'resigns') await theirs.interrupt();
      else await server.etcdctl(['lease', 'revoke', key!.key.slice(name.length + 1)]);
      const leadership = await campaign;
      t.true(leadership.token > (leader?.token ?? 0n));
      t.deepEqual(await election.leader(), { instanceId: 'ours', value: 'our value', token: leadership.token });
      await leadership.resign();
    }
  });
}
