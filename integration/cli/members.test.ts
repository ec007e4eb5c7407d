import { setServers } from 'node:dns/promises';
import test from 'ava';
import { Members, storeOf } from '../../lib/cli/members.ts';
import { completeOptions } from '../../lib/coordinator-options.ts';
import { accessTo } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { NameServer } from '../store/name-server.ts';
import { verdictOf } from '../store/probe.ts';

const timeoutMs = 5_000;

test('members that DNS names are asked one by one, also while it is silent; before it has named any it is itself what does not answer', async (t) => {
  await using names = await NameServer.start();
  setServers([names.address]);
  await using server = await EtcdServer.start();
  const question = `_etcd-client${server.isRestricted ? '-ssl' : ''}._tcp.etcd.test`;
  const settings = completeOptions({ ...accessTo(), discovery: { srv: 'etcd.test' } });
  await using members = new Members(settings);
  const [unnamed] = await members.ask(timeoutMs);
  t.like(unnamed, { endpoint: question, answers: false });

  const { port } = new URL(server.endpoint);
  names.records.set(question, [
    { name: '127.0.0.1', port: Number(port), priority: 0, weight: 0 },
    { name: '127.0.0.1', port: 1, priority: 0, weight: 0 },
  ]);
  const verdicts = async (): Promise<string[]> =>
    (await members.ask(timeoutMs)).map(({ endpoint, answers }) => `${new URL(endpoint).port} ${answers}`);
  t.deepEqual(await verdicts(), [`${port} true`, '1 false']);
  const store = storeOf(settings);
  t.is((await verdictOf(store.range({ key: 'test/a' }, { timeoutMs }))).result, 'ok', 'a client of all of them');
  await store.close();
  names.isSilent = true;
  t.deepEqual(await verdicts(), [`${port} true`, '1 false']);
});
