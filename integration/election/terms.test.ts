import test from 'ava';
import { checkTerms, type Fate, type Incident, type Stalls, type Term } from './terms.ts';

/* The judge of the faults, judged: what it lets pass nobody else would find. */

const limits = { ttlMs: 3_000, validForMs: 2_700, deliveryMs: 250 };

const term = (candidate: string, token: bigint, from: number, to: number, rest: Partial<Term> = {}): Term => ({
  ...{ candidate, token, from, to },
  ...rest,
});
const incident = (fate: Fate, token: bigint, at: number, rest: Partial<Incident> = {}): Incident => ({
  ...{ fault: 'a fault', fate, token, at, backAt: at, withinMs: 7_000, hears: false },
  ...rest,
});

const a = term('a', 1n, 0, 3_600, { toldAt: 3_700, endedAt: 3_800 });
const b = term('b', 2n, 4_500, 9_000, { toldAt: 9_010, endedAt: 9_100 });
const c = term('c', 3n, 9_200, 20_000);

/* etcd has taken the lease of the first by mistake, and with it that of the second, which knows it an event later. */
const hit = term('a', 1n, 0, 1_900);
const successor = term('c', 3n, 2_000, 20_000);
const passing = term('b', 2n, 2_004, 2_005, { toldAt: 2_005, toldWhy: 'Error: the session key was deleted' });

const stalled = (candidate: string, from: number, at: number): Stalls => new Map([[candidate, [{ from, at }]]]);

const right: readonly [string, readonly Term[], readonly Incident[], number, Stalls?][] = [
  ['one term after another', [a, b, c], [incident('expires', 1n, 1_000)], 3_500],
  ['whatever order they are told in', [c, a, b], [incident('expires', 1n, 1_000, { hears: true })], 3_500],
  [
    'an operator’s overlap of one delivery',
    [b, { ...c, from: 8_800 }],
    [incident('is deposed', 2n, 8_700, { hears: true })],
    100,
  ],
  ['a resignation', [b, c], [incident('resigns', 2n, 9_000, { hears: true })], 200],
  ['a leader that stays through an outage', [b], [incident('may stay', 2n, 5_000)], 0],
  ['a leader that goes in an outage', [a, b], [incident('may stay', 1n, 3_000)], 1_500],
  ['a leader whom etcd deposes', [b, { ...c, from: 8_800 }], [incident('may be deposed', 2n, 5_000)], 0],
  [
    'a term between two leases that etcd took by mistake',
    [hit, successor, passing],
    [incident('may be deposed', 1n, 1_000)],
    1_000,
  ],
  ['an outage that outlasts the belief', [a, b], [incident('expires', 1n, 1_000, { backAt: 4_400 })], 100],
  [
    'an operator’s overlap of one delivery, without the time in which the leader was starved',
    [b, { ...c, from: 8_000 }],
    [incident('is deposed', 2n, 7_900, { hears: true })],
    100,
    stalled('b', 7_800, 8_800),
  ],
  [
    'a leader that was starved when it was to be told',
    [{ ...a, toldAt: 5_600 }, b],
    [incident('expires', 1n, 1_000, { hears: true })],
    3_500,
    stalled('a', 3_000, 5_500),
  ],
  [
    'a starved term between two leases that etcd took by mistake',
    [hit, successor, { ...passing, to: 3_000, toldAt: 3_000 }],
    [incident('may be deposed', 1n, 1_000)],
    1_000,
    stalled('b', 2_004, 2_999),
  ],
];
for (const [what, terms, incidents, tookMs, stalls = new Map()] of right) {
  test(`${what} is right`, (t) => {
    t.deepEqual(
      checkTerms(terms, incidents, limits, stalls).map((passage) => passage.tookMs),
      [tookMs],
    );
  });
}

const wrong: readonly [string, RegExp, readonly Term[], readonly Incident[], Stalls?][] = [
  ['two leaders', /Two leaders for 1\.0 ms/, [a, { ...b, from: 3_599 }], []],
  ['two leaders of whom the second ended first', /Two leaders/, [a, term('b', 2n, 100, 200), c], []],
  ['a belief that comes back', /Two leaders/, [{ ...a, to: 5_000 }, b], [incident('expires', 1n, 1_000)]],
  [
    'an operator’s overlap of more',
    /Two leaders for 300/,
    [b, { ...c, from: 8_700 }],
    [incident('is deposed', 2n, 8_700)],
  ],
  [
    'an overlap that was another term’s',
    /Two leaders/,
    [a, b, { ...c, from: 8_900 }],
    [incident('is deposed', 1n, 1_000)],
  ],
  [
    'a term between two leases that nobody took by mistake',
    /is not above/,
    [hit, successor, passing],
    [incident('may stay', 1n, 1_000)],
  ],
  [
    'a term before etcd took a lease by mistake',
    /is not above/,
    [hit, successor, passing],
    [incident('may be deposed', 1n, 2_500)],
  ],
  [
    'a term that lasts for longer than a delivery though its lease was taken',
    /is not above/,
    [hit, successor, { ...passing, to: 2_300 }],
    [incident('may be deposed', 1n, 1_000)],
  ],
  [
    'a term that lost its lease otherwise',
    /is not above/,
    [hit, successor, { ...passing, toldWhy: 'Error: no renewal was answered' }],
    [incident('may be deposed', 1n, 1_000)],
  ],
  [
    'a longer overlap though another process was starved',
    /Two leaders for 1000/,
    [b, { ...c, from: 8_000 }],
    [incident('is deposed', 2n, 7_900)],
    stalled('c', 7_800, 8_800),
  ],
  [
    'a longer overlap than the leader was starved for',
    /Two leaders for 1000/,
    [b, { ...c, from: 8_000 }],
    [incident('is deposed', 2n, 7_900)],
    stalled('b', 7_000, 8_700),
  ],
  [
    'a belief that outlasts its lease though its process was starved',
    /Two leaders for 500/,
    [{ ...a, to: 5_000 }, b],
    [incident('expires', 1n, 1_000)],
    stalled('a', 3_000, 4_990),
  ],
  ['a token that falls', /is not above/, [a, { ...b, token: 1n }], []],
  ['a token that is given twice', /is not above/, [b, { ...c, token: 2n }], []],
  ['a fault that hit nobody', /no term has the token 7/, [a, b], [incident('expires', 7n, 1_000)]],
  ['a fault after the term', /it hit no leader/, [a, b], [incident('expires', 1n, 4_700)]],
  ['a fault before the term', /it hit no leader/, [b, c], [incident('expires', 2n, 4_400)]],
  ['a fault after which nobody leads', /nobody was elected/, [a], [incident('expires', 1n, 1_000)]],
  [
    'a late successor of an outage',
    /it took 7100/,
    [a, { ...b, from: 8_500 }],
    [incident('expires', 1n, 1_000, { backAt: 1_400 })],
  ],
  ['a late successor', /it took 7500 of 7000 ms/, [a, { ...b, from: 8_500 }], [incident('expires', 1n, 1_000)]],
  ['a belief without contact', /for 2701 ms without/, [{ ...a, to: 3_701 }, b], [incident('expires', 1n, 1_000)]],
  [
    'a leader that was not told',
    /was not told/,
    [{ ...a, toldAt: undefined }, b],
    [incident('expires', 1n, 1_000, { hears: true })],
  ],
  [
    'a leader that was told late',
    /was not told/,
    [{ ...a, toldAt: 4_751 }, b],
    [incident('expires', 1n, 1_000, { hears: true })],
  ],
  [
    'a successor before the work had ended',
    /had ended/,
    [{ ...b, endedAt: 9_201 }, c],
    [incident('resigns', 2n, 9_000)],
  ],
  ['an outage after which nobody leads', /nobody led/, [a], [incident('may stay', 1n, 3_000)]],
  [
    'a leader that lives on what was before the outage',
    /nobody led/,
    [{ ...a, to: 5_900 }],
    [incident('may stay', 1n, 3_000)],
  ],
];
for (const [what, message, terms, incidents, stalls = new Map()] of wrong) {
  test(`${what} is found`, (t) => void t.throws(() => checkTerms(terms, incidents, limits, stalls), { message }));
}
