import test from 'ava';
import { parseEndpoints } from './endpoints.ts';

test("an endpoint is taken apart, with etcd's port where none is named", (t) => {
  t.deepEqual(parseEndpoints(['http://10.0.0.1:2379', 'http://Etcd-2.example', 'http://[::1]:80/']), [
    { url: 'http://10.0.0.1:2379', secure: false, host: '10.0.0.1', port: 2379, authority: '10.0.0.1:2379' },
    {
      url: 'http://etcd-2.example:2379',
      secure: false,
      host: 'etcd-2.example',
      port: 2379,
      authority: 'etcd-2.example:2379',
    },
    { url: 'http://[::1]:80', secure: false, host: '::1', port: 80, authority: '[::1]:80' },
  ]);
  t.true(parseEndpoints(['https://etcd:443'])[0]?.secure);
});

for (const wrong of [
  '',
  'http://',
  'https://:2379',
  '127.0.0.1:2379',
  'etcd',
  'ftp://etcd:2379',
  'http://etcd:port',
  'http://etcd:',
  'http://etcd:0',
  'http://etcd:65536',
  'http://etcd:2379/v3',
  'http://etcd:2379?x=1',
  'http://two words:2379',
  'http://[::1:2379',
  'http://[no]:2379',
  'http://-etcd:2379',
]) {
  test(`the endpoint ${JSON.stringify(wrong)} is refused by name`, (t) => {
    const error = t.throws(() => parseEndpoints(['http://good:2379', wrong]), { instanceOf: TypeError });
    t.true(error.message.includes(JSON.stringify(wrong)), error.message);
  });
}

test('the password of a URL is not repeated in the error that refuses it', (t) => {
  const error = t.throws(() => parseEndpoints(['http://root:secret@etcd:2379']), { instanceOf: TypeError });
  t.false(error.message.includes('secret'), error.message);
});

test('http and https are not mixed', (t) => {
  const error = t.throws(() => parseEndpoints(['http://a:1', 'https://b:1']), { instanceOf: TypeError });
  t.regex(error.message, /"http:\/\/a:1" and "https:\/\/b:1"/);
});

test('an endpoint is not given twice, however it is written', (t) => {
  const error = t.throws(() => parseEndpoints(['http://a:2379', 'http://b', 'http://A/']), { instanceOf: TypeError });
  t.regex(error.message, /"http:\/\/a:2379" twice/);
});

test('no endpoints at all are refused', (t) => {
  t.throws(() => parseEndpoints([]), { instanceOf: TypeError, message: /at least one endpoint/ });
});
