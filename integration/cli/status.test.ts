import test from 'ava';
import { Clients, testedVersions } from '../lock/support/clients.ts';
import { until } from '../lock/support/until.ts';
import { environmentTo } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { HoldfastProcess } from './holdfast-process.ts';

/** Each member is asked once, and has 2 s to answer where nothing is said. */
const PATIENT = ['--timeout', '15s'];

for (const version of testedVersions) {
  test(`etcd ${version}: status shows who holds what since when, who waits, who leads, and how far configs have come`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const one = await clients.connect(server.endpoint, { instanceId: 'one' });
    const two = await clients.connect(server.endpoint, { instanceId: 'two' });
    const held = await one.lock('a/b').acquire();
    const waiting = two
      .lock('a/b')
      .acquire()
      .catch(() => {});
    await two.election('reporter').campaign({ value: 'http://two' });
    const config = one.config('limits');
    await config.ready();
    await config.set({ max: 1 });
    await one.registry('payments').register({ address: 'http://one' }).registered();
    await until('the rollout to be told', async () =>
      (await config.rollout()).some(({ instanceId, applied }) => instanceId === 'one' && applied === 1),
    );
    await until('a waiter', async () => (await one.lock('a/b').inspect()).waiters.length === 1);

    const environment = environmentTo(server.endpoint);
    await using holdfast = new HoldfastProcess(['status', ...PATIENT], environment);
    const { code, out } = await holdfast.ended;
    t.is(code, 0);
    t.regex(out, new RegExp(`lock +a/b +one +\\d+\\S* .*${held.token} +1: two \\(`));
    t.regex(out, /election +reporter +two/);
    t.regex(out, /payments +one +http:\/\/one/);
    t.regex(out, /limits +1 +.*one 1/);
    /* Its version etcd 3.5.28 and later tell to root alone. */
    t.regex(out, new RegExp(`${server.endpoint} +(?:3\\.\\d+\\.\\d+)? +answers`));
    t.false(out.includes('\u001B'), 'no colours where nobody looks');
    t.false(out.includes('max'), 'values of configs are nobody’s business here');

    await using asJson = new HoldfastProcess(['status', '--json', ...PATIENT], environment);
    const json = (await asJson.ended).out;
    t.true(json.includes(`"token":"${held.token}"`));
    t.true(JSON.parse(json) instanceof Object);

    await using watching = new HoldfastProcess(['status', '--watch', '--json', ...PATIENT], environment);
    await until('two looks', () => watching.out.split('\n').length > 2);
    watching.child.kill('SIGINT');
    t.is((await watching.ended).code, 0);

    await using staying = new HoldfastProcess(['status', '--watch', '--json', '--timeout', '5s'], environment);
    await until('a look', () => staying.out.includes('"revision"'));
    await server.stop({ signal: 'SIGKILL' });
    await until('the outage to be told', () => staying.out.includes('"outage"'));
    await using cut = new HoldfastProcess(['status', '--timeout', '300ms'], environment);
    t.is((await cut.ended).code, 69);
    const seen = staying.out.length;
    await server.restart();
    await until('it to see again', () => staying.out.slice(seen).includes('"revision"'));
    staying.child.kill('SIGINT');
    t.is((await staying.ended).code, 0);
    void waiting;
  });
}
