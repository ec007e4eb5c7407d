import test from 'ava';
import { unpackToken } from '../../lib/index.ts';
import { accessTo } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { ClientProcess } from './support/client-process.ts';
import { Clients, electionMs, storedKeys, testedVersions, ttlMs } from './support/clients.ts';
import { GuardedCounter } from './support/guarded-counter.ts';
import { until } from './support/until.ts';

for (const version of testedVersions) {
  test(`etcd ${version}: a paused process has lost its lock when it wakes, and its guarded write is refused`, async (t) => {
    await using server = await EtcdServer.start({ version });
    const options = { endpoints: server.endpoint, namespace: 'test', ...accessTo() };
    const counter = new GuardedCounter();
    await using paused = await ClientProcess.start({ ...options, session: { ttlMs } }, counter);
    await using next = await ClientProcess.start(options, counter);

    const first = await paused.call('acquire', 'a');
    t.is(await paused.call('read'), 0);
    const waiting = next.call('acquire', 'a');
    const heldOnWaking = paused.call('heldAfterBlock');
    await paused.blocked;
    paused.pause();

    const second = await waiting;
    t.true(second > first);
    t.is(await next.call('read'), 0);
    await next.call('write', 1);
    paused.unblock();
    paused.resume();
    t.false(await heldOnWaking);
    t.false(await paused.call('isHeld'));
    await t.throwsAsync(paused.call('write', 1), { code: 'STALE_TOKEN' });
    t.is(counter.value, 1);
    t.true(await next.call('isHeld'));

    /* Its release finds nothing of its own to delete, and it can come again. */
    await paused.call('release');
    t.true(await next.call('isHeld'));
    const again = paused.call('acquire', 'a');
    await next.call('release');
    t.true((await again) > second);
  });

  test(`etcd ${version}: the lock of a killed process moves on when its lease ends, within TTL + election + 2 s`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const survivor = await clients.connect(server.endpoint);
    await using victim = await ClientProcess.start({
      endpoints: server.endpoint,
      namespace: 'test',
      ...accessTo(),
      session: { ttlMs },
    });
    const first = await victim.call('acquire', 'a');
    const waiting = survivor.lock('a').acquire();
    await until('two keys in the queue', async () => (await storedKeys(server, clients.prefix('a'))).length === 2);

    victim.kill();
    const killedAt = performance.now();
    const held = await waiting;
    const tookMs = performance.now() - killedAt;
    /* Twice the bound, for the sake of busy machines. */
    t.true(tookMs < 2 * (ttlMs + electionMs + 2_000), `${tookMs} ms`);
    t.true(held.token > first);
    const keys = await storedKeys(server, clients.prefix('a'));
    t.deepEqual(
      keys.map(({ createRevision }) => createRevision),
      [unpackToken(held.token).revision],
    );
    await held.release();
  });
}
