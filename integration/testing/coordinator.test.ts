import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import test from 'ava';
import {
  CoordinationUnavailableError,
  createCoordinator,
  LockLostError,
  type Coordinator,
  type CoordinatorOptions,
  type HeldLock,
} from '../../lib/index.ts';
import { FaultProxy, startEmbeddedEtcd } from '../../lib/testing/index.ts';
import { until } from '../lock/support/until.ts';

const run = promisify(execFile);

// What users do with the embedded etcd: holdfast itself against it, with faults between them.

/** Where a session is to be lost by itself, so that this does not take long. A busy machine loses it before, too. */
const brief = { ttlMs: 3_000 };

test('a lock excludes, its tokens rise, and a waiter takes over', async (t) => {
  await using etcd = await startEmbeddedEtcd();
  await using one = await connect(etcd.endpoint);
  await using two = await connect(etcd.endpoint);
  const held = await one.lock('invoice').acquire();
  t.is(await two.lock('invoice').tryAcquire(), undefined);
  const waiting = two.lock('invoice').acquire();
  await held.release();
  const next = await waiting;
  t.true(next.token > held.token);
  await next.release();
});

test('an election has a leader that others see, and another one after it resigns', async (t) => {
  await using etcd = await startEmbeddedEtcd();
  await using one = await connect(etcd.endpoint);
  await using two = await connect(etcd.endpoint);
  const first = await one.election('reporter').campaign({ value: 'one' });
  const second = two.election('reporter').campaign({ value: 'two' });
  t.is((await two.election('reporter').leader())?.value, 'one');
  await first.resign();
  const leading = await second;
  t.is((await one.election('reporter').leader())?.value, 'two');
  await leading.resign();
});

test('config and cached reads are live, in step, and over a compaction', async (t) => {
  await using etcd = await startEmbeddedEtcd();
  await using one = await connect(etcd.endpoint);
  await using two = await connect(etcd.endpoint);
  const limits = one.config('limits', { fallback: { perMinute: 60 } });
  await limits.ready();
  t.is(limits.get()?.source, 'fallback');
  await limits.set({ perMinute: 100 });
  const routes = two.cache('routes/');
  await routes.ready();
  etcd.compact();
  await routes.put('é', 'https://eu');
  t.is(routes.get('é')?.value, 'https://eu');
  const other = two.config<{ perMinute: number }>('limits');
  await other.ready();
  t.is(other.get()?.value.perMinute, 100);
});

test('a lock whose lease an operator revokes is lost, and the next holder has a greater token', async (t) => {
  await using etcd = await startEmbeddedEtcd();
  await using one = await connect(etcd.endpoint);
  const held = await one.lock('invoice').acquire();
  for (const lease of etcd.leases) etcd.revokeLease(lease);
  await until('the loss', () => held.signal.aborted);
  t.false(held.isHeld());
  const next = await one.lock('invoice').acquire({ timeoutMs: 20_000 });
  t.true(next.token > held.token);
  await next.release();
});

test('a silent network degrades a coordinator behind a FaultProxy, and it recovers', async (t) => {
  await using etcd = await startEmbeddedEtcd();
  await using proxy = await FaultProxy.start(etcd.endpoint);
  await using one = await connect(proxy.endpoint, brief);
  const held = await hold(one);
  proxy.blackhole();
  await until('the loss', () => held.signal.aborted);
  await until('the outage', () => one.health.state !== 'connected');
  proxy.heal();
  await until('the recovery', () => one.health.state === 'connected');
  await using two = await connect(etcd.endpoint);
  const next = await two.lock('invoice').acquire({ timeoutMs: 20_000 });
  t.true(next.token > held.token);
  await next.release();
});

test('an exceeded quota refuses a new lock and keeps the one that is held', async (t) => {
  await using etcd = await startEmbeddedEtcd();
  await using one = await connect(etcd.endpoint);
  const held = await one.lock('invoice').acquire();
  etcd.exceedQuota();
  await t.throwsAsync(one.lock('other').acquire({ timeoutMs: 500 }));
  t.true(held.isHeld());
  await held.release();
  etcd.disarmQuota();
  await (await one.lock('other').acquire({ timeoutMs: 5_000 })).release();
});

test('a process that forgets to stop it ends all the same, and one that wants it to stay alive stays', async (t) => {
  const testing = JSON.stringify(new URL('../../lib/testing/index.js', import.meta.url).href);
  const index = JSON.stringify(new URL('../../lib/index.js', import.meta.url).href);
  const process = async (script: string): Promise<string> => {
    const source = `const { startEmbeddedEtcd } = await import(${testing});
      const { createCoordinator } = await import(${index});
      ${script}`;
    const options = { timeout: 20_000, killSignal: 'SIGKILL' as const };
    return (await run(globalThis.process.execPath, ['--input-type=module', '--eval', source], options)).stdout.trim();
  };
  const use = `const coordinator = createCoordinator({ endpoints: etcd.endpoint });
    await (await coordinator.lock('a').acquire()).release();
    await coordinator.close();
    console.log('used');`;
  t.is(await process(`const etcd = await startEmbeddedEtcd(); ${use}`), 'used');
  t.is(
    await process(`const etcd = await startEmbeddedEtcd({ keepsProcessAlive: true });
      setTimeout(async () => { console.log('alive'); await etcd.stop(); }, 300).unref();`),
    'alive',
  );
});

test('stopping is prompt with calls and watches under way, and the port is free after it', async (t) => {
  const etcd = await startEmbeddedEtcd();
  await using one = await connect(etcd.endpoint, brief);
  const held = await hold(one);
  void one
    .lock('invoice')
    .acquire()
    .catch(() => undefined);
  await Promise.all([etcd.stop(), etcd.stop()]);
  const port = Number(new URL(etcd.endpoint).port);
  await using again = await startEmbeddedEtcd({ port });
  t.is(again.endpoint, etcd.endpoint);
  t.is(again.revision, 1n);
  await t.throwsAsync(startEmbeddedEtcd({ port }), { code: 'EADDRINUSE' });
  await until('the loss', () => held.signal.aborted);
  await one.close({ drainMs: 0 });
});

async function connect(endpoint: string, session: CoordinatorOptions['session'] = {}): Promise<Coordinator> {
  const coordinator = createCoordinator({ endpoints: endpoint, namespace: 'test', session });
  await coordinator.ready({ timeoutMs: 20_000 });
  return coordinator;
}

/** Also with a session that was lost before it had the lock. */
async function hold(coordinator: Coordinator): Promise<HeldLock> {
  for (;;) {
    try {
      return await coordinator.lock('invoice').acquire();
    } catch (error) {
      if (!(error instanceof CoordinationUnavailableError || error instanceof LockLostError)) throw error;
      await coordinator.ready({ timeoutMs: 20_000 });
    }
  }
}
