import test from 'ava';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore, type EtcdStoreOptions } from '../../lib/store/etcd/etcd-store.ts';
import { CertificateAuthority } from '../servers/certificates.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { newLease, putting, verdictOf, Watching, type Verdict } from './probe.ts';

const options = { timeoutMs: 10_000 };

let authority: CertificateAuthority;
let stranger: CertificateAuthority;

test.before(async () => {
  [authority, stranger] = await Promise.all([CertificateAuthority.create(), CertificateAuthority.create()]);
});

test.after.always(async () => {
  await Promise.all([authority[Symbol.asyncDispose](), stranger[Symbol.asyncDispose]()]);
});

/** `isProbed`: what is wrong is found by a question of its own, which a busy server does not answer in time. */
async function tried(storeOptions: EtcdStoreOptions, isProbed = false): Promise<Verdict> {
  const store = createEtcdStore(systemRuntime(), storeOptions);
  const explained = async (call: () => Promise<Verdict>): Promise<Verdict> => {
    const verdict = await call();
    return isProbed && verdict.result === 'unreachable transient' ? await explained(call) : verdict;
  };
  const write = await explained(() => verdictOf(store.transact(putting('a'), options)));
  const renewal = await explained(() => verdictOf(store.renew(newLease(), options)));
  const watch = await explained(async () => {
    const watching = new Watching(store, { span: { key: 'a' }, fromRevision: 1n });
    await watching.until(({ keys }) => keys.length > 0).catch(() => undefined);
    return await (watching.keys.length > 0 ? watching.stop() : watching.ended);
  });
  await store.close();
  if (write.result === 'ok') return write;
  if (renewal.result !== write.result || watch.result !== write.result) {
    throw new Error(`Expected ${write.result} of each, got ${renewal.result} and ${watch.result}`);
  }
  return write;
}

test('over TLS everything works, with and without a certificate of the client', async (t) => {
  const issued = await authority.issue(['IP:127.0.0.1', 'DNS:localhost']);
  await using server = await EtcdServer.start({ tls: issued });
  await using strict = await EtcdServer.start({ tls: { ...issued, clientCaFile: authority.caFile } });
  const { ca } = authority;
  const { cert, key } = issued;
  t.is((await tried({ endpoints: [server.endpoint], tls: { ca } })).result, 'ok');
  t.is((await tried({ endpoints: [server.endpoint], tls: { ca: ca.toString() } })).result, 'ok');
  const byName = server.endpoint.replace('127.0.0.1', 'localhost');
  t.is((await tried({ endpoints: [byName], tls: { ca } })).result, 'ok');
  t.is((await tried({ endpoints: [strict.endpoint], tls: { ca, cert, key } })).result, 'ok');
});

test('each mistake with certificates is named', async (t) => {
  const [good, wrongName, old, foreign] = await Promise.all([
    authority.issue(['IP:127.0.0.1']),
    authority.issue(['DNS:etcd.example']),
    authority.issue(['IP:127.0.0.1'], { expired: true }),
    stranger.issue(['IP:127.0.0.1']),
  ]);
  await using server = await EtcdServer.start({ tls: good });
  await using misnamed = await EtcdServer.start({ tls: wrongName });
  await using expired = await EtcdServer.start({ tls: old });
  await using strict = await EtcdServer.start({ tls: { ...good, clientCaFile: authority.caFile } });
  await using plain = await EtcdServer.start({ access: 'plain' });
  const { ca } = authority;
  const mistakes: Record<string, readonly [EtcdStoreOptions, RegExp, 'probed'?]> = {
    'an authority that Node does not know': [{ endpoints: [server.endpoint] }, /certificate/],
    'the wrong authority': [{ endpoints: [server.endpoint], tls: { ca: stranger.ca } }, /certificate/],
    'a certificate for another name': [{ endpoints: [misnamed.endpoint], tls: { ca } }, /altnames.*127\.0\.0\.1/],
    'an expired certificate': [{ endpoints: [expired.endpoint], tls: { ca } }, /expired/],
    'no certificate of the client': [{ endpoints: [strict.endpoint], tls: { ca } }, /certificate/],
    "a stranger's certificate of the client": [
      { endpoints: [strict.endpoint], tls: { ca, cert: foreign.cert, key: foreign.key } },
      /certificate|unknown ca/,
    ],
    'https for a server that speaks http': [
      { endpoints: [plain.endpoint.replace('http:', 'https:')], tls: { ca } },
      /speaks no TLS.*use http /,
      'probed',
    ],
    'http for a server that speaks https': [
      { endpoints: [server.endpoint.replace('https:', 'http:')] },
      /speaks TLS.*use https/,
      'probed',
    ],
  };
  for (const [mistake, [storeOptions, message, probed]] of Object.entries(mistakes)) {
    const { result, error } = await tried(storeOptions, probed !== undefined);
    t.is(result, 'tls permanent', `${mistake}: ${error?.message}`);
    t.regex(error?.message ?? '', message, mistake);
  }
});

test('what is wrong with a PEM file is said at construction, by the name of the option', async (t) => {
  const [{ cert, key }, other] = await Promise.all([
    authority.issue(['IP:127.0.0.1']),
    authority.issue(['IP:127.0.0.1']),
  ]);
  const { ca } = authority;
  const endpoints = ['https://127.0.0.1:2379'];
  const wrong: readonly (readonly [EtcdStoreOptions, RegExp])[] = [
    [{ endpoints, tls: { ca: 'garbage' } }, /tls\.ca/],
    [{ endpoints, tls: { ca: '' } }, /tls\.ca/],
    [{ endpoints, tls: { ca, cert: Buffer.from('garbage'), key } }, /tls\.cert/],
    [{ endpoints, tls: { ca, cert, key: 'garbage' } }, /tls\.key/],
    [{ endpoints, tls: { ca, cert } }, /tls\.cert and tls\.key/],
    [{ endpoints, tls: { ca, key } }, /tls\.cert and tls\.key/],
    [{ endpoints, tls: { ca, cert, key: other.key } }, /the private key of tls\.cert/],
    [{ endpoints: ['http://127.0.0.1:2379'], tls: { ca } }, /https/],
  ];
  for (const [storeOptions, message] of wrong) {
    t.throws(() => createEtcdStore(systemRuntime(), storeOptions), { instanceOf: TypeError, message });
  }
});
