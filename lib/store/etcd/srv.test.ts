import test from 'ava';
import { SeededRandom } from '../../testing/seeded-random.ts';
import { drawTargets, srvName, targetsOf, type SrvRecord } from './srv.ts';

const record = (name: string, priority: number, weight: number, port = 2379): SrvRecord => ({
  name,
  port,
  priority,
  weight,
});

const plain = { secure: false };

function orders(records: readonly SrvRecord[], times: number): readonly string[][] {
  const random = new SeededRandom(7);
  const targets = targetsOf(records, plain);
  return Array.from({ length: times }, () => drawTargets(targets, random).map(({ host }) => host));
}

const share = (all: readonly string[][], first: string): number =>
  all.filter(([host]) => host === first).length / all.length;

test("records are asked for under etcd's own names", (t) => {
  t.is(srvName('example.com', false), '_etcd-client._tcp.example.com');
  t.is(srvName('example.com', true), '_etcd-client-ssl._tcp.example.com');
});

test('a target is an endpoint without the root’s dot, each once, under its best priority', (t) => {
  const records = [
    record('Etcd-1.example.com.', 20, 5),
    record('etcd-1.example.com', 10, 7),
    record('e2.example.com', 10, 1, 80),
  ];
  const targets = targetsOf(records, plain);
  t.deepEqual(
    targets.map(({ endpoint, priority, weight }) => [endpoint.url, priority, weight]),
    [
      ['http://etcd-1.example.com:2379', 10, 7],
      ['http://e2.example.com:80', 10, 1],
    ],
  );
  t.deepEqual(
    targetsOf(records, { secure: true }).map(({ endpoint }) => endpoint.secure),
    [true, true],
  );
});

for (const [what, name, port] of [
  ['"." for a service that is not available', '.', 0],
  ['an empty name for the same', '', 2379],
  ['no host name', 'two words', 2379],
  ['port 0', 'etcd', 0],
] as const) {
  test(`a target that is ${what} is left out`, (t) => {
    t.deepEqual(targetsOf([record(name, 0, 0, port)], plain), []);
  });
}

test('of targets outside the domain that has to vouch for them none is taken', (t) => {
  const records = ['a.example.com', 'example.com', 'evil.com', 'notexample.com', 'example.com.evil.com'];
  const targets = targetsOf(
    records.map((name) => record(name, 0, 0)),
    { secure: true, within: 'Example.com' },
  );
  t.deepEqual(
    targets.map(({ endpoint }) => endpoint.host),
    ['a.example.com', 'example.com'],
  );
});

test('a lower priority value always comes first, whatever the weights', (t) => {
  const all = orders([record('late', 20, 60_000), record('first', 0, 0), record('middle', 10, 1)], 200);
  t.true(all.every((order) => order.join() === 'first,middle,late'));
});

test('among equals each comes first as often as its weight says, and all of them come', (t) => {
  const all = orders([record('one', 0, 1), record('three', 0, 3), record('six', 0, 6)], 4_000);
  t.true(all.every((order) => order.toSorted().join() === 'one,six,three'));
  /* RFC 2782 draws from 0 to the sum, both included, so that the one number too many is shared by all of them. */
  for (const [host, expected] of [
    ['one', (1 + 1 / 3) / 11],
    ['three', (3 + 1 / 3) / 11],
    ['six', (6 + 1 / 3) / 11],
  ] as const) {
    t.true(Math.abs(share(all, host) - expected) < 0.03, `${host}: ${share(all, host)}`);
  }
});

test('who has no weight seldom comes first, unless nobody has one', (t) => {
  const some = orders([record('none', 0, 0), record('ten', 0, 10), record('twenty', 0, 20)], 2_000);
  t.true(share(some, 'none') < 0.08 && share(some, 'none') > 0);
  const without = orders([record('a', 0, 0), record('b', 0, 0), record('c', 0, 0)], 3_000);
  for (const host of ['a', 'b', 'c']) t.true(Math.abs(share(without, host) - 1 / 3) < 0.05);
});
