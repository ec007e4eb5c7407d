import test from 'ava';
import type { IMember } from 'etcd3';
import { votingEndpoints } from './member-list.ts';

const member = (clientURLs: string[], isLearner = false): IMember => ({
  ID: '1',
  name: clientURLs.length === 0 ? '' : 'm',
  peerURLs: ['http://10.0.0.1:2380'],
  clientURLs,
  isLearner,
});

const remote = { secure: false, loopback: false };

const table: readonly [claim: string, members: readonly IMember[], limits: typeof remote, urls: readonly string[]][] = [
  [
    'the client URLs of every voting member, each once',
    [member(['http://10.0.0.1:2379', 'http://etcd-1:2379']), member(['http://10.0.0.2', 'http://10.0.0.1:2379/'])],
    remote,
    ['http://10.0.0.1:2379', 'http://etcd-1:2379', 'http://10.0.0.2:2379'],
  ],
  ['no learner', [member(['http://a:1']), member(['http://b:1'], true)], remote, ['http://a:1']],
  ['nobody who has not started', [member([]), member(['http://a:1'])], remote, ['http://a:1']],
  ['no other scheme', [member(['https://a:1', 'http://b:1', 'unix://c'])], remote, ['http://b:1']],
  ['with TLS https alone', [member(['https://a:1', 'http://b:1'])], { ...remote, secure: true }, ['https://a:1']],
  [
    'no address of any machine',
    ['0.0.0.0', '[::]', '127.0.0.1', 'localhost', '[::1]', 'etcd.localhost', '10.0.0.1'].map((host) =>
      member([`http://${host}:1`]),
    ),
    remote,
    ['http://10.0.0.1:1'],
  ],
  [
    'addresses of this machine where etcd is known to be on it',
    ['0.0.0.0', '127.0.0.1', 'localhost'].map((host) => member([`http://${host}:1`])),
    { ...remote, loopback: true },
    ['http://127.0.0.1:1', 'http://localhost:1'],
  ],
];
for (const [claim, members, limits, urls] of table) {
  test(`a member list gives ${claim}`, (t) => {
    t.deepEqual(
      votingEndpoints(members, limits).map(({ url }) => url),
      urls,
    );
  });
}
