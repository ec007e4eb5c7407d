import test from 'ava';
import { createCoordinator } from '../../lib/index.ts';
import { testedVersions } from '../lock/support/clients.ts';
import { accessTo, addUsers, askWhoIsThere, environmentTo } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { HoldfastProcess } from './holdfast-process.ts';

interface Finding {
  readonly about: string;
  readonly level: string;
  readonly fact: string;
  readonly advice?: string;
}

/** For a question to a member, and for the first contact: a busy machine is late for the 3 s that they have where nothing is said. */
const PATIENT = ['--timeout', '15s'];

async function examine(
  endpoints: string,
  ...words: string[]
): Promise<{ readonly code: number | null; readonly findings: readonly Finding[] }> {
  await using holdfast = new HoldfastProcess(['doctor', '--json', ...words], environmentTo(endpoints));
  const { code, out } = await holdfast.ended;
  const lines = out.split('\n').filter((line) => line !== '');
  return { code, findings: lines.map((line) => JSON.parse(line) as Finding) };
}

for (const version of testedVersions) {
  test(`etcd ${version}: doctor tells members, versions, space, access, history, latency and sessions`, async (t) => {
    /* Which grants no TTL below 7.5 s: longer than a busy machine is late by. */
    await using server = await EtcdServer.start({ version, extraArgs: ['--election-timeout', '5000'] });
    const levelOf = (findings: readonly Finding[], about: string) =>
      findings.filter((finding) => finding.about === about).map(({ level }) => level);

    const nowhere = server.endpoint.replace(/\d+$/, '1');
    const healthy = await examine(server.endpoint, ...PATIENT);
    /* A busy machine can be late for anything. */
    const isWell = ({ code, findings }: typeof healthy) => code === 0 || levelOf(findings, 'timers')[0] === 'problem';
    t.true(isWell(healthy), JSON.stringify(healthy.findings));
    t.deepEqual(levelOf(healthy.findings, 'members'), ['fine', 'note']);
    /* By etcd 3.5.28 and later, to whoever is not root. */
    const isUntold = server.isRestricted && version !== '3.4';
    t.is(levelOf(healthy.findings, 'version')[0], version === '3.4' ? 'warning' : isUntold ? 'note' : 'fine');
    t.deepEqual(levelOf(healthy.findings, 'space'), isUntold ? [] : ['fine']);
    for (const about of ['access', 'history', 'session', 'queues']) {
      t.deepEqual(levelOf(healthy.findings, about), ['fine'], about);
    }
    t.is(levelOf(healthy.findings, 'latency').length, 1);
    t.is(levelOf(healthy.findings, 'timers').length, 1);

    const half = await examine(`${server.endpoint},${nowhere}`, ...PATIENT);
    t.true(isWell(half), JSON.stringify(half.findings));
    t.deepEqual(levelOf(half.findings, 'members'), ['warning', 'warning']);

    /* A TTL that etcd does not grant. */
    await using short = createCoordinator({
      endpoints: server.endpoint,
      namespace: 'test',
      ...accessTo(),
      session: { ttlMs: 5_000 },
    });
    await short.ready();
    t.true((short.session?.ttlMs ?? 0) > 5_000);
    const asked = await examine(server.endpoint, '--ttl', '5s', ...PATIENT);
    t.is(levelOf(asked.findings, 'session')[0], 'warning');

    await server.stop({ signal: 'SIGKILL' });
    const cut = await examine(server.endpoint, '--timeout', '500ms');
    t.is(cut.code, 69);
    t.is(levelOf(cut.findings, 'members')[0], 'problem');
  });
}

test('who may not write in a namespace, or is not let in, is told so by doctor, and what to do', async (t) => {
  await using server = await EtcdServer.start({ access: 'plain' });
  await addUsers(server, ['app']);
  await askWhoIsThere(server);
  const problemsOf = async (namespace: string, environment: Readonly<Record<string, string>>) => {
    const words = ['doctor', '--json', '--endpoints', server.endpoint, '--namespace', namespace, ...PATIENT];
    await using holdfast = new HoldfastProcess(words, environment);
    const { code, out, err } = await holdfast.ended;
    t.is(err, '');
    const findings = out
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Finding);
    return { code, access: findings.filter(({ about }) => about === 'access') };
  };
  const app = { HOLDFAST_USERNAME: 'app', HOLDFAST_PASSWORD: 'password' };
  const own = await problemsOf('app', app);
  t.deepEqual(
    own.access.map(({ level }) => level),
    ['fine'],
  );
  const others = await problemsOf('other', app);
  t.is(others.code, 1);
  t.regex(others.access[0]?.fact ?? '', /may not write below other\/session\//);
  for (const stranger of [{}, { ...app, HOLDFAST_PASSWORD: 'wrong' }]) {
    const { code, access } = await problemsOf('app', stranger);
    t.is(code, 1);
    t.regex(access[0]?.fact ?? '', /does not let us in/);
    t.regex(access[0]?.advice ?? '', /--username/);
  }
});
