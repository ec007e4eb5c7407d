import test from 'ava';
import type { SharedHolder } from '../../queue/inspect.ts';
import type { Survey } from '../../survey/survey.ts';
import { judgeNamespace } from './namespace.ts';

const NOW = Date.UTC(2026, 0, 1);

const nothing: Survey = {
  revision: 9n,
  epoch: 0,
  sessions: [],
  queues: [],
  registries: [],
  configs: [],
  jobs: [],
  incomplete: [],
};

function holder(instanceId: string | undefined, askedAgoMs: number | undefined): SharedHolder {
  const askedAt = askedAgoMs === undefined ? undefined : new Date(NOW - askedAgoMs);
  return { instanceId, askedAt, createRevision: 5n, lease: 'abc', key: 'k', token: 1n };
}

function locked(...holders: SharedHolder[]): Survey {
  return { ...nothing, queues: [{ kind: 'lock', name: 'a', holders, waiters: [] }] };
}

const cases: readonly (readonly [what: string, survey: Survey, found: readonly string[]])[] = [
  ['nothing', nothing, ['queues fine']],
  ['a holder', locked(holder('one', 1_000)), ['queues fine']],
  ['a client of another kind', locked(holder(undefined, undefined)), ['queues fine']],
  ['a key whose session is gone', locked(holder(undefined, 1_000)), ['queues warning']],
  ['a holder for an hour', locked(holder('one', 3_600_000)), ['queues fine', 'holders note']],
  ['a clock that is ahead', locked(holder('one', -60_000)), ['queues fine', 'clocks warning']],
  [
    'a config that is refused, and one that is late',
    {
      ...nothing,
      configs: [
        {
          name: 'limits',
          version: 3,
          reports: [
            { instanceId: 'one', applied: 3, refused: undefined },
            { instanceId: 'two', applied: 2, refused: { version: 3, reason: 'must be positive' } },
            { instanceId: 'three', applied: 2, refused: undefined },
          ],
        },
      ],
    },
    ['queues fine', 'configs warning', 'configs note'],
  ],
];
for (const [what, survey, found] of cases) {
  test(`of ${what} it says ${found.join(', ')}`, (t) => {
    const findings = judgeNamespace(survey, NOW);
    t.deepEqual(
      findings.map(({ about, level }) => `${about} ${level}`),
      found,
    );
    t.true(findings.every(({ level, advice }) => level === 'fine' || advice !== undefined));
  });
}
