import test from 'ava';
import { Cadence, COUNTED, NEWEST } from './cadence.ts';

const at = (iso: string): number => Date.parse(iso);

function instants(pattern: string, timezone: string, from: string, count: number): string[] {
  const cadence = new Cadence(pattern, timezone);
  const found: string[] = [];
  for (let after: number | undefined = at(from); found.length < count;) {
    after = cadence.next(after);
    if (after === undefined) break;
    found.push(new Date(after).toISOString().slice(0, 16));
  }
  return found;
}

const cases: readonly [claim: string, pattern: string, timezone: string, from: string, expected: readonly string[]][] =
  [
    [
      'a time of day that spring leaves out comes at the first moment after the gap',
      '30 2 * * *',
      'Europe/Berlin',
      '2026-03-27T12:00:00Z',
      ['2026-03-28T01:30', '2026-03-29T01:00', '2026-03-30T00:30'],
    ],
    [
      'a time of day that autumn repeats comes once, at its first occurrence',
      '30 2 * * *',
      'Europe/Berlin',
      '2026-10-23T12:00:00Z',
      ['2026-10-24T00:30', '2026-10-25T00:30', '2026-10-26T01:30'],
    ],
    [
      'hourly ticks stay an hour apart over the end of summer time',
      '0 * * * *',
      'Europe/Berlin',
      '2026-10-24T23:30:00Z',
      ['2026-10-25T00:00', '2026-10-25T01:00', '2026-10-25T02:00', '2026-10-25T03:00'],
    ],
    [
      'and over its beginning',
      '0 * * * *',
      'Europe/Berlin',
      '2026-03-28T23:30:00Z',
      ['2026-03-29T00:00', '2026-03-29T01:00', '2026-03-29T02:00', '2026-03-29T03:00'],
    ],
    [
      'one of several times of day that spring leaves out is left out',
      '30 2,14 * * *',
      'Europe/Berlin',
      '2026-03-28T12:00:00Z',
      ['2026-03-28T13:30', '2026-03-29T12:30', '2026-03-30T00:30'],
    ],
    [
      'one of several times of day that autumn repeats comes twice',
      '0 2-4 * * *',
      'Europe/Berlin',
      '2026-10-24T20:00:00Z',
      ['2026-10-25T00:00', '2026-10-25T01:00', '2026-10-25T02:00', '2026-10-25T03:00', '2026-10-26T01:00'],
    ],
    [
      'an offset of half an hour',
      '0 3 * * *',
      'Asia/Kolkata',
      '2026-10-24T23:30:00Z',
      ['2026-10-25T21:30', '2026-10-26T21:30'],
    ],
    [
      'a change of half an hour',
      '45 1 * * *',
      'Australia/Lord_Howe',
      '2026-04-03T00:00:00Z',
      ['2026-04-03T14:45', '2026-04-04T14:45', '2026-04-05T15:15'],
    ],
    ['seconds, where there are six fields', '*/20 0 0 1 1 *', 'UTC', '2026-06-01T00:00:00Z', ['2027-01-01T00:00']],
    ['a nickname', '@daily', 'UTC', '2026-06-01T12:00:00Z', ['2026-06-02T00:00', '2026-06-03T00:00']],
  ];
for (const [claim, pattern, timezone, from, expected] of cases) {
  test(`${claim}: ${pattern} ${timezone}`, (t) => {
    t.deepEqual(instants(pattern, timezone, from, expected.length), [...expected]);
  });
}

test('an instant itself is not after itself, and a millisecond before it, it is', (t) => {
  const cadence = new Cadence('0 * * * *', 'UTC');
  const hour = at('2026-01-01T10:00:00Z');
  t.is(cadence.next(hour), hour + 3_600_000);
  t.is(cadence.next(hour - 1), hour);
  t.is(cadence.next(hour), hour + 3_600_000);
});

test('a pattern that has come to its end has no next instant', (t) => {
  t.is(new Cadence('0 0 0 1 1 * 2020', 'UTC').next(at('2026-01-01T00:00:00Z')), undefined);
});

const wrong: readonly [pattern: unknown, timezone: unknown, message: RegExp][] = [
  ['', 'UTC', /pattern of a schedule/],
  [undefined, 'UTC', /pattern of a schedule/],
  ['0 3 * *', 'UTC', /got "0 3 \* \*"/],
  ['61 * * * *', 'UTC', /minute: 61/],
  ['? * * * *', 'UTC', /each process/],
  ['2026-01-01T00:00:00', 'UTC', /happens once/],
  ['0 0 30 2 *', 'UTC', /no such instant/],
  ['0 3 * * *', 'Mars/Olympus', /timezone.*"Mars\/Olympus"/],
  ['0 3 * * *', '+02:00', /timezone/],
  ['0 3 * * *', '', /timezone/],
  ['0 3 * * *', 5, /timezone/],
];
for (const [pattern, timezone, message] of wrong) {
  test(`${String(pattern)} in ${String(timezone)} is refused by name`, (t) => {
    t.throws(() => new Cadence(pattern as string, timezone as string), { instanceOf: TypeError, message });
  });
}

test('due instants are those after the one and up to the other, both ends exact', (t) => {
  const cadence = new Cadence('0 * * * *', 'UTC');
  const noon = at('2026-01-01T12:00:00Z');
  t.deepEqual(cadence.due(noon, noon + 3_599_999), { newest: [], earlier: undefined });
  t.deepEqual(cadence.due(noon, noon + 3_600_000), { newest: [noon + 3_600_000], earlier: undefined });
  t.deepEqual(cadence.due(noon, noon - 1), { newest: [], earlier: undefined });
});

test('of many due instants the newest are told one by one, the others counted', (t) => {
  const cadence = new Cadence('* * * * *', 'UTC');
  const from = at('2026-01-01T00:00:00Z');
  const due = cadence.due(from, from + 250 * 60_000);
  t.is(due.newest.length, NEWEST);
  t.is(due.newest[0], from + 151 * 60_000);
  t.deepEqual(due.earlier, { fromMs: from + 60_000, toMs: from + 150 * 60_000, count: 150 });
});

test('of a very long time they are found without counting through it', (t) => {
  const cadence = new Cadence('* * * * * *', 'Europe/Berlin');
  const from = at('2025-01-01T00:00:00Z');
  const until = at('2026-01-01T00:00:00Z');
  const { newest, earlier } = cadence.due(from, until);
  t.is(newest.at(-1), until);
  t.is(newest[0], until - (NEWEST - 1) * 1_000);
  t.deepEqual(earlier, { fromMs: from + 1_000, toMs: until - NEWEST * 1_000, count: COUNTED + 1 - NEWEST });
});

const changes: readonly [timezone: string, changedAt: string][] = [
  ['Europe/Berlin', '2026-03-29T01:00:00Z'],
  ['Europe/Berlin', '2026-10-25T01:00:00Z'],
  ['Australia/Lord_Howe', '2026-04-04T15:00:00Z'],
  ['Australia/Lord_Howe', '2026-10-03T15:30:00Z'],
  ['America/St_Johns', '2026-11-01T04:30:00Z'],
  ['Africa/Casablanca', '2026-02-15T02:00:00Z'],
];
for (const [timezone, changedAt] of changes) {
  test(`looking back finds what looking forward does: ${timezone} ${changedAt}`, (t) => {
    const cadence = new Cadence('*/15 * * * *', timezone);
    const until = at(changedAt) + 12 * 3_600_000;
    const from = until - 12 * 86_400_000;
    const { newest, earlier } = cadence.due(from, until);
    const forward: number[] = [];
    for (let next = cadence.next(from); next !== undefined && next <= until; next = cadence.next(next))
      forward.push(next);
    /* Else the looking back is not what is tested. */
    t.true(forward.length > COUNTED);
    t.deepEqual(newest, forward.slice(-NEWEST));
    t.is(earlier?.toMs, forward.at(-NEWEST - 1));
  });
}
