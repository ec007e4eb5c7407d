import test from 'ava';
import { CoordinationUnavailableError, OutcomeUnknownError, type Coordinator } from '../../lib/index.ts';
import { FaultProxy } from '../../lib/testing/index.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { Clients } from './support/clients.ts';
import { settlesWithin } from './support/settles-within.ts';

const request = { timeoutMs: 300, deadlineMs: 900 };

const silences: readonly [string, (server: EtcdServer, proxy: FaultProxy) => void][] = [
  ['the server paused', (server) => server.pause()],
  ['the network a blackhole', (_, proxy) => proxy.blackhole()],
  ['every answer lost', (_, proxy) => proxy.dropResponses()],
];

for (const [silence, fall] of silences) {
  test.serial(
    `with ${silence}, every call settles by its deadline + 250 ms, and none says that somebody holds the lock`,
    async (t) => {
      await using server = await EtcdServer.start();
      await using proxy = await FaultProxy.start(server.endpoint);
      await using clients = new Clients();
      /* Long enough for every call to meet the silence while the session is still valid. */
      const coordinator = await clients.connect(proxy.endpoint, { session: { ttlMs: 30_000 }, request });
      const held = await coordinator.lock('held').acquire();
      const kept = await coordinator.lock('kept').acquire();

      fall(server, proxy);
      const unavailable = async (what: string, deadlineMs: number, call: () => Promise<unknown>): Promise<void> => {
        const outcome = await settlesWithin(t, what, deadlineMs, call);
        t.true('error' in outcome && outcome.error instanceof CoordinationUnavailableError, what);
      };
      const calls = (prefix: string): Promise<void>[] => [
        unavailable(`${prefix}acquire`, 500, () => coordinator.lock(`${prefix}a`).acquire({ timeoutMs: 500 })),
        unavailable(`${prefix}with`, 400, () =>
          coordinator.lock(`${prefix}b`).with(() => t.fail(), { timeoutMs: 400 }),
        ),
        unavailable(`${prefix}tryAcquire`, 900, () => coordinator.lock(`${prefix}c`).tryAcquire()),
        unavailable(`${prefix}inspect`, 900, () => coordinator.lock(`${prefix}d`).inspect()),
        unavailable(`${prefix}lockAll`, 600, () =>
          coordinator.lockAll([`${prefix}e`, `${prefix}f`]).with(() => t.fail(), { timeoutMs: 600 }),
        ),
      ];
      await Promise.all(calls('one '));
      /* The first calls have left work behind that goes on in the background. It must not delay the next ones. */
      await Promise.all(Array.from({ length: 20 }, (_, index) => calls(`${index} `)).flat());

      const reason = new Error('the caller has changed its mind');
      const aborted = await settlesWithin(t, 'an acquire that is aborted', 200, () =>
        coordinator.lock('aborted').acquire({ signal: abortAfter(200, reason) }),
      );
      t.true('error' in aborted && aborted.error === reason);
      const released = await settlesWithin(t, 'release', request.deadlineMs, () => held.release());
      t.true('error' in released && released.error instanceof OutcomeUnknownError);
      t.true(kept.isHeld());

      const late = clients.create(proxy.endpoint, { request });
      await unavailable('ready', 700, () => late.ready({ timeoutMs: 700 }));
      await unavailable('acquire while starting', 300, () => late.lock('a').acquire({ timeoutMs: 300 }));
      await closes(late, 'close while starting');
      await closes(coordinator, 'close');
      await kept.release();

      /** Waits for the work, then makes one attempt to revoke the lease. */
      async function closes(closing: Coordinator, what: string): Promise<void> {
        const outcome = await settlesWithin(t, what, 400 + request.timeoutMs, () => closing.close({ drainMs: 400 }));
        t.true('value' in outcome);
      }
    },
  );
}

test.serial('degraded refuses at once, and a call that waits for the recovery by its own timeout', async (t) => {
  await using server = await EtcdServer.start();
  await using clients = new Clients();
  const coordinator = await clients.connect(server.endpoint, { session: { ttlMs: 2_000 }, request });
  server.pause();
  for await (const { state } of coordinator.watchHealth()) if (state === 'degraded') break;
  const acquired = await settlesWithin(t, 'acquire', 0, () => coordinator.lock('a').acquire());
  t.true('error' in acquired && acquired.error instanceof CoordinationUnavailableError);
  const tried = await settlesWithin(t, 'tryAcquire', 0, () => coordinator.lock('a').tryAcquire());
  t.true('error' in tried && tried.error instanceof CoordinationUnavailableError);
  const patient = await settlesWithin(t, 'waitForRecovery', 600, () =>
    coordinator.lock('a').acquire({ waitForRecovery: true, timeoutMs: 600 }),
  );
  t.true('error' in patient && patient.error instanceof CoordinationUnavailableError);
});

function abortAfter(ms: number, reason: Error): AbortSignal {
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), ms);
  return controller.signal;
}
