import test from 'ava';
import { EXIT } from '../../lib/cli/exit-codes.ts';
import { FaultProxy } from '../../lib/testing/fault-proxy.ts';
import { Clients } from '../lock/support/clients.ts';
import { until } from '../lock/support/until.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { documents, Terminal } from './terminal.ts';

/* One server for all, a namespace for each. */
let server: EtcdServer;
const namespaces = [
  'values',
  'vault',
  'watched',
  'outages',
  'rollout',
  'routes',
  'jobs',
  'epochs',
  'outage',
  'nothing',
];
test.before(async () => {
  server = await EtcdServer.start({ version: '3.5.30', namespaces });
});
test.after.always(() => server[Symbol.asyncDispose]());

test('a config is set, read, rolled back and deleted', async (t) => {
  const terminal = new Terminal(server.endpoint, 'values');
  t.like(await terminal.type(['config', 'get', 'limits']), {
    code: EXIT.no,
    out: '',
    err: 'holdfast: There is no config "limits".\n',
  });
  t.like(await terminal.type(['config', 'set', 'limits', '-5']), { code: EXIT.ok, out: 'limits is at version 1\n' });
  const set = await terminal.type(['config', 'set', 'limits', '-', '--if-version', '1', '--json'], '{"max": 7}\n');
  t.is(set.code, EXIT.ok);
  const [{ revision } = {}] = documents(set);
  t.regex(String(revision), /^\d+$/);
  t.deepEqual(documents(set), [{ name: 'limits', version: 2, revision }]);
  t.like(await terminal.type(['config', 'get', 'limits']), { code: EXIT.ok, out: '{"max":7}\n' });
  t.deepEqual(documents(await terminal.type(['config', 'get', 'limits', '--json'])), [
    { name: 'limits', version: 2, revision, value: { max: 7 } },
  ]);

  const conflict = await terminal.type(['config', 'set', 'limits', '"secret"', '--if-version', '1']);
  t.is(conflict.code, EXIT.no);
  t.regex(conflict.err, /its version is 2, and 1 was expected/);
  t.notRegex(conflict.err, /secret/);

  t.regex(
    (await terminal.type(['config', 'rollback', 'limits', '1'])).out,
    /at version 3, with the value of version 1/,
  );
  t.is((await terminal.type(['config', 'rollback', 'limits', '9'])).code, EXIT.no);
  const history = await terminal.type(['config', 'history', 'limits', '--limit', '2', '--instance-id', 'me']);
  t.regex(history.out, /^VERSION +BY +VALUE\n3 .* -5\n2 .* \{"max":7\}\n$/);

  t.is((await terminal.type(['config', 'delete', 'limits', '--if-version', '1'])).code, EXIT.no);
  t.like(await terminal.type(['config', 'delete', 'limits']), { code: EXIT.ok, out: 'limits is deleted\n' });
  t.is((await terminal.type(['config', 'delete', 'limits'])).code, EXIT.no);
  t.is(documents(await terminal.type(['config', 'history', 'limits', '--json'])).length, 3);
  t.is((await terminal.type(['config', 'history', 'limit'])).code, EXIT.no);
});

test('a value that is no JSON, or not ours, shows in no error', async (t) => {
  const terminal = new Terminal(server.endpoint, 'vault');
  const typed = await terminal.type(['config', 'set', 'door', 'secret']);
  t.is(typed.code, EXIT.usage);
  const put = await terminal.type(['config', 'set', 'door', '"secret"', 'secret']);
  t.is(put.code, EXIT.usage);
  await server.etcdctl(['put', 'vault/config/door', 'secret']);
  const read = await terminal.type(['config', 'get', 'door']);
  t.is(read.code, EXIT.no);
  t.regex(read.err, /this process does not serve/);
  t.notRegex([typed, put, read].map(({ out, err }) => out + err).join(''), /secret/);
  t.is((await terminal.type(['config', 'delete', 'door'])).code, EXIT.ok);
});

test('a watched config is printed version by version until it is stopped', async (t) => {
  const terminal = new Terminal(server.endpoint, 'watched');
  const people = terminal.begin(['config', 'watch', 'limits']);
  const program = terminal.spawn(['config', 'watch', 'limits', '--json']);
  await people.says('there is none');
  await program.says('"absent":true');
  await terminal.type(['config', 'set', 'limits', '1']);
  await people.says('1  1\n');
  await program.says('"version":1');
  await terminal.type(['config', 'set', 'limits', '{"max":2}']);
  await people.says('2  {"max":2}\n');
  await program.says('"version":2');
  people.stop();
  program.stop('SIGINT');
  t.is((await people.ended).code, EXIT.ok);
  const ended = await program.ended;
  t.is(ended.code, EXIT.ok);
  t.is(ended.err, '');
  t.deepEqual(
    documents(ended).map(({ version, value }) => [version, value]),
    [
      [undefined, undefined],
      [1, 1],
      [2, { max: 2 }],
    ],
  );
});

test('a watch goes on through an outage, and is stopped in the next one', async (t) => {
  await using proxy = await FaultProxy.start(server.endpoint);
  const direct = new Terminal(server.endpoint, 'outages');
  await direct.type(['config', 'set', 'limits', '1']);
  const watching = new Terminal(proxy.endpoint, 'outages').begin(['config', 'watch', 'limits', '--timeout', '15s']);
  await watching.says('1  1\n');
  proxy.cut();
  await direct.type(['config', 'set', 'limits', '2']);
  proxy.heal();
  await watching.says('2  2\n');
  proxy.blackhole();
  watching.stop();
  t.is((await watching.ended).code, EXIT.ok);
});

test('a rollout tells who serves a version, and who refused it and why', async (t) => {
  await using clients = new Clients('rollout');
  const terminal = new Terminal(server.endpoint, 'rollout');
  t.like(await terminal.type(['config', 'rollout', 'limits']), { code: EXIT.ok, out: '' });
  await terminal.type(['config', 'set', 'limits', '1']);
  const good = await clients.connect(server.endpoint, { instanceId: 'good' });
  const strict = await clients.connect(server.endpoint, { instanceId: 'strict' });
  const schema = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (value: unknown) => (value === 1 ? { value } : { issues: [{ message: 'must be one' }] }),
    },
  } as const;
  await Promise.all([good.config('limits').ready(), strict.config('limits', { schema }).ready()]);
  await terminal.type(['config', 'set', 'limits', '2']);
  const rollout = () => terminal.type(['config', 'rollout', 'limits']);
  await until('both to have told', async () => {
    const { out } = await rollout();
    return /^good +2 +- +-$/m.test(out) && /^strict +1 +2 +The config .* not valid/m.test(out);
  });
  const reports = documents(await terminal.type(['config', 'rollout', 'limits', '--json']));
  t.like(
    reports.find(({ instanceId }) => instanceId === 'strict'),
    { name: 'limits', applied: 1 },
  );
});

test('a cached key is read from etcd, and changes are printed until it is stopped', async (t) => {
  await using clients = new Clients('routes');
  const terminal = new Terminal(server.endpoint, 'routes');
  t.is((await terminal.type(['cache', 'get', 'routes/', 'eu'])).code, EXIT.no);
  const service = await clients.connect(server.endpoint);
  const routes = service.cache('routes/');
  await routes.put('eu', 'http://1');
  t.like(await terminal.type(['cache', 'get', 'routes/', 'eu']), { code: EXIT.ok, out: 'http://1\n' });
  t.like(documents(await terminal.type(['cache', 'get', 'routes/', 'eu', '--json'])), [
    { key: 'eu', value: 'http://1' },
  ]);

  const people = terminal.begin(['cache', 'watch', 'routes/']);
  const program = terminal.begin(['cache', 'watch', 'routes/', '--json']);
  /* Until both have begun. */
  await until('both to see a change', async () => {
    await routes.put('probe', 'there');
    return people.said().includes('probe') && program.said().includes('probe');
  });
  await routes.put('us', 'two\nlines');
  await routes.delete('eu');
  await people.says('put     us  two\\nlines\ndelete  eu\n');
  await program.says('"type":"delete"');
  people.stop();
  program.stop();
  t.is((await people.ended).code, EXIT.ok);
  const ended = await program.ended;
  t.is(ended.code, EXIT.ok);
  t.like(
    documents(ended).filter(({ key }) => key !== 'probe'),
    [
      { type: 'put', key: 'us', value: 'two\nlines' },
      { type: 'delete', key: 'eu' },
    ],
  );
});

test('a job is listed, run now, paused and resumed by somebody who takes no part in it', async (t) => {
  await using clients = new Clients('jobs');
  const terminal = new Terminal(server.endpoint, 'jobs');
  t.like(await terminal.type(['schedule', 'list']), { code: EXIT.ok, out: '' });
  for (const verb of ['trigger', 'history']) {
    t.is((await terminal.type(['schedule', verb, 'report'])).code, EXIT.no, verb);
  }
  const worker = await clients.connect(server.endpoint, { instanceId: 'worker' });
  let runs = 0;
  worker.schedule('report', '0 3 1 1 *', () => void (runs += 1));
  await until('a leader', async () =>
    documents(await terminal.type(['schedule', 'list', '--json'])).some(
      ({ leader, settledUntil }) => leader === 'worker' && settledUntil !== undefined,
    ),
  );
  t.regex((await terminal.type(['schedule', 'list'])).out, /^NAME .*\nreport +worker +1 +- +\d{4}-.*Z\n$/);

  t.regex((await terminal.type(['schedule', 'trigger', 'report'])).out, /^report is to run now/);
  const finished = /^\d{4}-\S+ \S+Z +finished +1 +manual +worker +\d+m?s +-$/m;
  await until('the run', async () => finished.test((await terminal.type(['schedule', 'history', 'report'])).out));
  t.is(runs, 1);
  t.like(documents(await terminal.type(['schedule', 'history', 'report', '--limit', '1', '--json'])), [
    { name: 'report', state: 'finished', trigger: 'manual' },
  ]);

  t.like(await terminal.type(['schedule', 'pause', 'report', '--instance-id', 'me']), {
    code: EXIT.ok,
    out: 'report is paused\n',
    err: '',
  });
  t.regex((await terminal.type(['schedule', 'list'])).out, /Z by me/);
  const refused = await terminal.type(['schedule', 'trigger', 'report']);
  t.is(refused.code, EXIT.no);
  t.regex(refused.err, /it is paused/);
  t.is((await terminal.type(['schedule', 'resume', 'report'])).code, EXIT.ok);
  t.deepEqual(documents(await terminal.type(['schedule', 'list', '--json']))[0]?.['paused'], undefined);
  t.regex((await terminal.type(['schedule', 'pause', 'reprot'])).err, /is that its name\?/);
  t.is(runs, 1);
});

test('an epoch is raised, shows in tokens, and is lowered by force alone', async (t) => {
  await using clients = new Clients('epochs');
  const terminal = new Terminal(server.endpoint, 'epochs');
  t.like(await terminal.type(['epoch', 'get']), { code: EXIT.ok, out: '0\n' });
  t.regex((await terminal.type(['epoch', 'set', '2'])).out, /^the epoch is 2\. Keep a note of it outside etcd/);
  const lowered = await terminal.type(['epoch', 'set', '1']);
  t.is(lowered.code, EXIT.no);
  t.regex(lowered.err, /Could not lower the epoch from 2 to 1/);
  const client = await clients.connect(server.endpoint);
  await client.lock('a').with(({ token }) => t.is(token >> 55n, 2n));
  t.deepEqual(documents(await terminal.type(['epoch', 'set', '1', '--force', '--json'])), [{ epoch: 1 }]);
  t.deepEqual(documents(await terminal.type(['epoch', 'get', '--json'])), [{ epoch: 1 }]);
  for (const wrong of ['256', '-1', 'one']) t.is((await terminal.type(['epoch', 'set', wrong])).code, EXIT.usage);
});

test('dev is an etcd until it is stopped', async (t) => {
  const terminal = new Terminal('', 'dev');
  const dev = terminal.spawn(['dev', '--json']);
  await dev.says('\n');
  const [{ endpoint } = {}] = documents({ out: dev.said() });
  const user = new Terminal(String(endpoint), 'dev');
  const set = user.spawn(['config', 'set', 'limits', '-'], '{"max":1}');
  t.like(await set.ended, { code: EXIT.ok, out: 'limits is at version 1\n', err: '' });
  t.is((await user.type(['config', 'get', 'limits'])).out, '{"max":1}\n');
  const { port } = new URL(String(endpoint));
  t.is((await terminal.type(['dev', '--port', port])).code, EXIT.usage);
  dev.stop('SIGTERM');
  t.is((await dev.ended).code, EXIT.ok);
  const outage = await user.spawn(['config', 'get', 'limits', '--timeout', '300ms']).ended;
  t.is(outage.code, EXIT.outage);
  t.is(outage.out, '');
});

const asking: readonly (readonly string[])[] = [
  ['config', 'get', 'a'],
  ['config', 'set', 'a', '1'],
  ['config', 'delete', 'a'],
  ['config', 'watch', 'a'],
  ['config', 'history', 'a'],
  ['config', 'rollback', 'a', '1'],
  ['config', 'rollout', 'a'],
  ['cache', 'get', 'a/', 'b'],
  ['cache', 'watch', 'a/'],
  ['schedule', 'list'],
  ['schedule', 'history', 'a'],
  ['schedule', 'trigger', 'a'],
  ['schedule', 'pause', 'a'],
  ['schedule', 'resume', 'a'],
  ['epoch', 'get'],
  ['epoch', 'set', '1'],
];

test('every command that asks etcd tells an outage from an answer, whether nobody listens or nobody answers', async (t) => {
  await using silent = await FaultProxy.start(server.endpoint);
  silent.blackhole();
  const outages = ['http://127.0.0.1:1', silent.endpoint].flatMap((endpoint) =>
    asking.map(async (words) => {
      const terminal = new Terminal(endpoint, 'outage');
      const { code, out, err } = await terminal.type([...words, '--timeout', '400ms']);
      t.is(code, EXIT.outage, `${words.join(' ')}: ${err}`);
      t.is(out, '');
      t.regex(err, /^holdfast: /);
    }),
  );
  await Promise.all(outages);
});

test('what cannot work is refused before anything is asked', async (t) => {
  const terminal = new Terminal('http://127.0.0.1:1', 'wrong');
  const mistakes: readonly (readonly string[])[] = [
    ['config'],
    ['config', 'get'],
    ['config', 'get', 'a', 'b'],
    ['config', 'get', 'a', '--', 'sh'],
    ['config', 'get', 'a', '--if-version', '1'],
    ['config', 'set', 'a', '1', '--if-version', 'x'],
    ['config', 'history', 'a', '--limit', '0'],
    ['config', 'rollback', 'a', 'last'],
    ['config', 'get', 'a', '--timeout', '0s'],
    ['config', 'get', 'a', '--namespace', 'a/b'],
    ['schedule', 'list', 'a'],
    ['schedule', 'history', 'a', '--limit', '1001'],
    ['cache', 'get', 'a'],
    ['dev', '--port', '65536'],
    ['nothing'],
    ['--json', 'status'],
  ];
  await Promise.all(
    mistakes.map(async (words) => {
      const { code, out, err } = await terminal.type(words);
      t.is(code, EXIT.usage, `${words.join(' ')}: ${err}`);
      t.is(out, '');
      t.regex(err, /^holdfast: /);
    }),
  );
});

test('help and the version are there however they are asked for', async (t) => {
  const terminal = new Terminal('http://127.0.0.1:1', 'asked');
  const { out: overview } = await terminal.type(['help']);
  for (const words of [[], ['--help'], ['-h']]) t.like(await terminal.type(words), { code: EXIT.ok, out: overview });
  const { out: ofSet } = await terminal.type(['help', 'config', 'set']);
  t.regex(ofSet, /^holdfast config set NAME/);
  t.like(await terminal.type(['config', 'set', '-h']), { code: EXIT.ok, out: ofSet });
  const { out: ofGroup } = await terminal.type(['help', 'config']);
  t.regex(ofGroup, /^  config rollback /m);
  for (const word of ['--help', '-h', 'help'])
    t.like(await terminal.type(['config', word]), { code: EXIT.ok, out: ofGroup });
  for (const word of ['--version', '-v', 'version']) {
    t.regex((await terminal.type([word])).out, /^\d+\.\d+\.\d+\n$/);
  }
  const misplaced = await terminal.type(['--endpoints=http://root:secret@a:1', 'status']);
  t.regex(misplaced.err, /Expected a command before "--endpoints"/);
  t.notRegex(misplaced.err, /secret/);
});

test('status says so where there is nothing, and in which namespace', async (t) => {
  const { code, out } = await new Terminal(server.endpoint, 'nothing').type(['status']);
  t.is(code, EXIT.ok);
  t.regex(out, /^namespace nothing, revision \d+, epoch 0, 1 session\nNothing is held/);
});

test('what is stopped while etcd is silent says nothing of etcd', async (t) => {
  for (const words of [['doctor'], ['status'], ['config', 'get', 'a'], ['schedule', 'list'], ['epoch', 'get']]) {
    await using proxy = await FaultProxy.start(server.endpoint);
    proxy.blackhole();
    const going = new Terminal(proxy.endpoint, 'outage').begin(words);
    await until('a connection', () => proxy.connections > 0);
    going.stop('SIGINT');
    t.deepEqual(await going.ended, { code: EXIT.no, out: '', err: '' }, words.join(' '));
  }
});
