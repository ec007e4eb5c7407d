import test from 'ava';
import type { Coordinator, Leader, Leadership } from '../../lib/index.ts';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import type { Store } from '../../lib/store/store.ts';
import { FaultProxy } from '../../lib/testing/fault-proxy.ts';
import { Clients, testedVersions } from '../lock/support/clients.ts';
import { until } from '../lock/support/until.ts';
import { History } from '../replica/history.ts';
import { accessTo } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { checkObserved, isStep, stepsOf, type Step } from './leaders.ts';

const prefix = 'test/election/a/';
const patient = { timeoutMs: 10_000 };

/** Two candidates that take turns, and the history of their election as etcd tells it. */
class Turns {
  readonly #store: Store;
  readonly #one: Coordinator;
  readonly #two: Coordinator;
  readonly #history: History;
  #last: Leadership | undefined;
  #turn = 0;

  constructor(store: Store, one: Coordinator, two: Coordinator, from: bigint) {
    this.#store = store;
    this.#one = one;
    this.#two = two;
    this.#history = new History(from, (key) => key);
  }

  get steps(): Step[] {
    return stepsOf(this.#history.timelines[0] ?? []);
  }

  /** A leader that proclaims, one that follows without absence, absence, one that is none of ours, and at last one that stays. */
  async take(): Promise<void> {
    const [one, two] = [this.#one.election('a'), this.#two.election('a')];
    this.#turn += 1;
    await this.#last?.resign();
    const first = await one.campaign({ value: `one in ${this.#turn}`, waitForRecovery: true });
    await first.proclaim(`one again in ${this.#turn}`);
    const waiting = two.campaign({ value: `two in ${this.#turn}`, waitForRecovery: true });
    await until('two in the queue', async () => {
      const { count } = await this.#store.range({ prefix, countOnly: true }, patient);
      return count === 2;
    });
    await first.resign();
    await (await waiting).resign();
    const key = `${prefix}7f`;
    const foreign = { type: 'put', key, value: `a stranger in ${this.#turn}` } as const;
    await this.#store.transact({ compare: [], then: [foreign] }, patient);
    await this.#store.transact({ compare: [], then: [{ type: 'delete', key }] }, patient);
    this.#last = await two.campaign({ value: `two again in ${this.#turn}`, waitForRecovery: true });
  }

  /** Reads on in the history, and resolves with the newest revision in it. */
  async record(): Promise<bigint> {
    const { entries } = await this.#store.range({ prefix, sort: { by: 'mod', order: 'descend' }, limit: 1 }, patient);
    const newest = entries[0]?.modRevision ?? 0n;
    await this.#history.record(this.#store, { prefix }, newest);
    return newest;
  }

  /** Both know that etcd is back. */
  async contact(): Promise<void> {
    for (const coordinator of [this.#one, this.#two]) {
      await until('contact', () =>
        coordinator
          .election('a')
          .leader()
          .catch(() => undefined),
      );
    }
  }
}

function observe(coordinator: Coordinator): (Leader | undefined)[] {
  const seen: (Leader | undefined)[] = [];
  void (async () => {
    for await (const leader of coordinator.election('a').observe()) seen.push(leader);
  })();
  return seen;
}

for (const version of testedVersions) {
  test(`etcd ${version}: across cuts, a restart and a compaction, observers see every leader in order, or say nothing`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using proxy = await FaultProxy.start(server.endpoint);
    await using clients = new Clients();
    const connect = (endpoint: string, instanceId: string): Promise<Coordinator> =>
      clients.connect(endpoint, { instanceId });
    const [one, two, near, far] = await Promise.all([
      connect(server.endpoint, 'one'),
      connect(server.endpoint, 'two'),
      connect(server.endpoint, 'near'),
      connect(proxy.endpoint, 'far'),
    ]);
    const store = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
    const { revision } = await store.range({ key: 'test/nothing' }, patient);
    const turns = new Turns(store, one, two, revision + 1n);
    const seen = [observe(near), observe(far)];
    const caughtUp = async (): Promise<void> => {
      const last = turns.steps.at(-1);
      await until('observers that have seen the last leader', () =>
        seen.every((leaders) => leaders.length > 0 && isStep(last, leaders.at(-1))),
      );
    };
    await caughtUp();

    const phases: readonly [string, () => Promise<unknown>][] = [
      ['live', () => turns.take()],
      [
        'cut off',
        async () => {
          proxy.cut();
          await turns.take();
          proxy.heal();
        },
      ],
      [
        'behind a blackhole',
        async () => {
          proxy.blackhole();
          await turns.take();
          proxy.heal();
        },
      ],
      [
        'over a restart',
        async () => {
          await turns.take();
          await server.restart({ signal: 'SIGKILL' });
          await turns.contact();
          await turns.take();
        },
      ],
    ];
    for (const [phase, act] of phases) {
      await act();
      await turns.record();
      await caughtUp();
      const skipped = seen.map((leaders) => checkObserved(leaders, turns.steps));
      t.deepEqual(skipped, [[], []], phase);
    }

    /* What is compacted while it is away, nobody can tell any more. */
    const before = turns.steps.length;
    proxy.cut();
    await turns.take();
    const compacted = await turns.record();
    await until('the near observer', () => isStep(turns.steps.at(-1), seen[0]?.at(-1)));
    await server.etcdctl(['compaction', String(compacted)]);
    proxy.heal();
    await caughtUp();
    await turns.take();
    await turns.record();
    await caughtUp();
    const [nearSkipped, farSkipped] = seen.map((leaders) => checkObserved(leaders, turns.steps));
    t.deepEqual(nearSkipped, []);
    t.deepEqual(
      farSkipped,
      turns.steps.slice(before).filter((step) => step.revision < compacted),
    );
    t.true((farSkipped?.length ?? 0) > 3);

    for (const leader of seen.flat()) {
      if (leader === undefined) continue;
      const [owner] = leader.value.split(' ');
      t.is(leader.instanceId, owner === 'a' ? undefined : owner);
    }
    t.log(`${turns.steps.length} steps, ${seen.map(({ length }) => length).join(' and ')} of them seen`);
    await store.close();
  });
}
