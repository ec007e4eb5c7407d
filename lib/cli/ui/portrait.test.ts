import test from 'ava';
import type { Survey } from '../../survey/survey.ts';
import { portray, shownMember, type Seen } from './portrait.ts';

const askedAt = new Date(5_000);
const someone = { createRevision: 3n, lease: 'ab', key: 'k' };
const survey: Survey = {
  revision: 7n,
  epoch: 2,
  sessions: [{ instanceId: 'one', lease: 'ab' }],
  queues: [
    {
      kind: 'election',
      name: 'reporter',
      holders: [{ ...someone, instanceId: 'one', askedAt, token: 9_007_199_254_740_993n }],
      waiters: [
        { ...someone, instanceId: undefined, askedAt },
        { ...someone, instanceId: undefined, askedAt: undefined },
      ],
      value: 'http://secret',
    },
  ],
  registries: [{ kind: 'partition-member', name: 'orders', members: [{ instanceId: 'one', address: 'a' } as never] }],
  configs: [
    {
      name: 'limits',
      version: 2,
      reports: [
        { instanceId: 'two', applied: undefined, refused: { version: 2, reason: 'too many' } },
        { instanceId: 'one', applied: 2, refused: undefined },
      ],
    },
  ],
  jobs: [],
  incomplete: [],
};
const seen: Seen = { namespace: 'billing', survey, elections: [], watchedSinceMs: 0, valueOf: undefined };

test('a view is JSON, with tokens as decimal text, and tells a key without a session from one of another client', (t) => {
  const view = portray(seen);
  t.deepEqual(JSON.parse(JSON.stringify(view)), view);
  const [queue] = view.queues;
  t.deepEqual(queue?.holders, [
    { who: 'one', lease: 'ab', askedAtMs: 5_000, isZombie: false, token: '9007199254740993' },
  ]);
  t.deepEqual(queue?.waiters, [
    { who: 'lease ab', lease: 'ab', askedAtMs: 5_000, isZombie: true },
    { who: 'lease ab', lease: 'ab', isZombie: false },
  ]);
  t.deepEqual(view.configs[0]?.instances, [
    { instanceId: 'one', applied: 2 },
    { instanceId: 'two', refused: { version: 2, reason: 'too many' } },
  ]);
  t.is(view.registries[0]?.name, 'orders (partitions)');
});

test('values of configs, and what leaders proclaim, are in no view unless they were asked for', (t) => {
  t.false(JSON.stringify(portray(seen)).includes('secret'));
  const view = portray({ ...seen, valueOf: () => ({ key: 'x'.repeat(5_000) }) });
  t.is(view.queues[0]?.value, 'http://secret');
  t.is(view.configs[0]?.value?.length, 2_001);
  t.is(portray({ ...seen, valueOf: () => undefined }).configs[0]?.value, undefined);
});

test('a member that answers and knows no leader is not well', (t) => {
  const status = { answers: true, isTold: true, revision: 1n, version: '3.5.30', dbSizeBytes: 3_000_000 } as const;
  const members = [
    { endpoint: 'a', ...status, hasLeader: true },
    { endpoint: 'b', ...status, hasLeader: false },
    { endpoint: 'c', answers: false, why: 'refused' },
    { endpoint: 'd', answers: true, isTold: false },
  ] as const;
  t.deepEqual(members.map(shownMember), [
    { endpoint: 'a', isWell: true, about: 'etcd 3.5.30, 3 MiB' },
    { endpoint: 'b', isWell: false, about: 'etcd 3.5.30, 3 MiB, knows no leader' },
    { endpoint: 'c', isWell: false, about: 'refused' },
    { endpoint: 'd', isWell: true, about: 'answers; does not tell us how it is' },
  ]);
});
