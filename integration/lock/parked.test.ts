/**
 * Requests that are parked at a paused follower and applied after their callers gave up: absence is not an answer. How often that
 * happens is up to the scheduling of etcd and of the kernel, so the runs that had one are counted. `npm run test:parked` makes more
 * runs than `npm test` does.
 */
import test from 'ava';
import { CoordinationUnavailableError, OutcomeUnknownError, type Coordinator, type HeldLock } from '../../lib/index.ts';
import { EtcdCluster } from '../servers/etcd-cluster.ts';
import { type EtcdServer } from '../servers/etcd-server.ts';
import { Clients, electionMs, shortLived, storedKeys, testedVersions, ttlMs } from './support/clients.ts';
import { EventLog } from './support/event-log.ts';
import { until } from './support/until.ts';

const runs = Number(process.env['HOLDFAST_PARKED_RUNS'] ?? 3);

/**
 * Of so many runs, one pauses the follower until the client's session is lost. In the others the lease is so long that neither its
 * end nor the regular audit of what is on it comes to help: there, the settling of what was not answered must do it.
 */
const longPauseEvery = 3;
const longSession = { session: { ttlMs: 60_000 } };

/** L4 of a session of 3 s, also where it is longer. Twice that is allowed, for the sake of busy machines. */
const goneWithinMs = 2 * (ttlMs + electionMs + 1_000);

const allLocks = 'test/lock/';

for (const version of testedVersions) {
  test.serial(
    `etcd ${version}: requests that a paused follower applies late leave no zombie and no phantom holder in ${runs} of ${runs} runs`,
    async (t) => {
      t.timeout(30_000 + runs * 15_000);
      await using cluster = await EtcdCluster.start({ version });
      await using clients = new Clients();
      const leader = await cluster.leader();
      /* Of one answer: who is asked twice may name two leaders. */
      const [follower] = cluster.members.filter((member) => member !== leader) as [EtcdServer];
      const observer = await clients.connect(leader.endpoint);
      /* They know the follower alone. */
      const request = { timeoutMs: 200, deadlineMs: 400 };
      const lasting = await clients.connect(follower.endpoint, { ...longSession, request });
      const brief = await clients.connect(follower.endpoint, { ...shortLived, request });
      using log = await EventLog.start(leader, allLocks);

      const late = { acquires: 0, tries: 0, runs: 0 };
      for (let run = 1; run <= runs; run += 1) {
        const names = {
          acquires: [1, 2, 3].map((index) => `${run}-acquire-${index}`),
          tries: [1, 2].map((index) => `${run}-try-${index}`),
          release: `${run}-release`,
        };
        const all = [...names.acquires, ...names.tries, names.release];
        const client = run % longPauseEvery === 0 ? brief : lasting;
        await giveUp(follower, client, names, client === brief);

        await until('contact', () => client.health.state === 'connected');
        await until(`no key of run ${run}`, async () => (await storedKeys(leader, `${allLocks}${run}-`)).length === 0, {
          withinMs: goneWithinMs,
        });
        for (const name of all) {
          t.is((await observer.lock(name).inspect()).holder, undefined, name);
          /* The next acquire works, for others and for the one that gave up. */
          const theirs = await observer.lock(name).acquire({ timeoutMs: goneWithinMs });
          await theirs.release();
          const ours = await client.lock(name).acquire({ timeoutMs: goneWithinMs, waitForRecovery: true });
          t.true(ours.token > theirs.token);
          await released(ours);
        }

        await log.catchUp();
        /* Two of the puts are those of the acquires just above. */
        const puts = (name: string): number =>
          log.events.filter(({ type, key }) => type === 'PUT' && key.startsWith(clients.prefix(name))).length - 2;
        const sum = (some: readonly string[]): number => some.reduce((count, name) => count + puts(name), 0);
        const [acquires, tries] = [sum(names.acquires), sum(names.tries)];
        late.acquires += acquires;
        late.tries += tries;
        if (acquires + tries > 0) late.runs += 1;
      }

      await until('no key but the marks', async () =>
        (await storedKeys(leader, allLocks)).every(({ key }) => EventLog.isMark(key)),
      );
      t.log(
        `${late.runs} of ${runs} runs had a request applied after its caller gave up: ` +
          `${late.acquires} of ${runs * 3} acquires, ${late.tries} of ${runs * 2} tries`,
      );
      /* Otherwise so many runs have shown nothing. */
      if (runs >= 20) t.true(late.runs > 0);
    },
  );
}

/** At the end of its short deadline a release goes on in the background, and nothing here depends on its answer. */
async function released(held: HeldLock): Promise<void> {
  try {
    await held.release();
  } catch (error) {
    if (!(error instanceof OutcomeUnknownError)) throw error;
  }
}

/** Pauses the follower, lets every kind of call give up on it, and lets it go on. */
async function giveUp(
  follower: EtcdServer,
  client: Coordinator,
  names: { readonly acquires: readonly string[]; readonly tries: readonly string[]; readonly release: string },
  untilLost: boolean,
): Promise<void> {
  const held = await client.lock(names.release).acquire({ waitForRecovery: true });
  follower.pause();
  try {
    const outcomes = await Promise.allSettled([
      ...names.acquires.map((name, index) => client.lock(name).acquire({ timeoutMs: 60 + 80 * index })),
      ...names.tries.map((name) => client.lock(name).tryAcquire()),
      held.release(),
    ]);
    for (const [index, outcome] of outcomes.entries()) {
      const expected = index === outcomes.length - 1 ? OutcomeUnknownError : CoordinationUnavailableError;
      if (outcome.status === 'rejected' && outcome.reason instanceof expected) continue;
      throw new Error(`Expected call ${index} to give up with ${expected.name}`, {
        cause: outcome.status === 'rejected' ? outcome.reason : undefined,
      });
    }
    if (untilLost) await until('the loss of the session', () => client.session === undefined);
  } finally {
    follower.resume();
  }
}
