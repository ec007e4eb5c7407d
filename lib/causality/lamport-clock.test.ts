import test from 'ava';
import * as fc from 'fast-check';
import { LamportClock, type LamportStamp } from './lamport-clock.ts';

/** What three nodes do: something of their own, or reading a message that was sent before. */
const deeds = fc.array(fc.record({ at: fc.nat({ max: 2 }), reads: fc.option(fc.nat()) }), { maxLength: 60 });

test('what happened before something has the smaller stamp, and no two events have the same', (t) => {
  fc.assert(
    fc.property(deeds, (deeds) => {
      const clocks = ['a', 'b', 'c'].map((node) => new LamportClock({ node }));
      /** Each event with all that happened before it. */
      const events: { readonly stamp: LamportStamp; readonly past: ReadonlySet<number> }[] = [];
      const latest: (number | undefined)[] = [undefined, undefined, undefined];
      for (const { at, reads } of deeds) {
        const message = reads === null || events.length === 0 ? undefined : reads % events.length;
        const clock = clocks[at]!;
        const stamp = message === undefined ? clock.tick() : clock.receive(events[message]!.stamp);
        const causes = [latest[at], message].filter((cause) => cause !== undefined);
        const past = new Set(causes.flatMap((cause) => [cause, ...events[cause]!.past]));
        latest[at] = events.push({ stamp, past }) - 1;
      }
      for (const { stamp, past } of events) {
        for (const earlier of past) t.true(LamportClock.compare(events[earlier]!.stamp, stamp) < 0);
      }
      t.is(new Set(events.map(({ stamp }) => JSON.stringify(stamp))).size, events.length);
    }),
  );
});

const stamps = fc.record({ counter: fc.bigInt({ min: 0n, max: 3n }), node: fc.constantFrom('a', 'b', 'B', '') });

test('stamps have one total order', (t) => {
  fc.assert(
    fc.property(stamps, stamps, stamps, (one, two, three) => {
      const { compare } = LamportClock;
      t.is(compare(one, two), -compare(two, one) + 0);
      t.is(compare(one, two) === 0, one.counter === two.counter && one.node === two.node);
      if (compare(one, two) <= 0 && compare(two, three) <= 0) t.true(compare(one, three) <= 0);
    }),
  );
});

test('a stamp comes back from JSON, and a clock goes on where it was', (t) => {
  const clock = new LamportClock({ node: 'a', counter: 2n ** 60n });
  const json = JSON.stringify(clock.tick());
  t.is(json, '{"counter":"1152921504606846977","node":"a"}');
  t.deepEqual(LamportClock.parse(JSON.parse(json)), clock.latest);
});

test('a stamp that would stop the clock is refused, and leaves it', (t) => {
  const clock = new LamportClock({ node: 'a' });
  clock.tick();
  for (const counter of [2n ** 63n - 1n, 2n ** 63n, -1n]) {
    t.throws(() => clock.receive({ counter, node: 'b' }), { instanceOf: RangeError });
  }
  t.throws(() => clock.receive({ counter: 5 as unknown as bigint, node: 'b' }), { instanceOf: TypeError });
  t.is(clock.latest.counter, 1n);
});

for (const json of [
  undefined,
  null,
  1,
  '1',
  {},
  { counter: 1, node: 'a' },
  { counter: '01', node: 'a' },
  { counter: '1', node: '' },
]) {
  test(`${JSON.stringify(json)} is no stamp`, (t) => {
    t.throws(() => LamportClock.parse(json), { instanceOf: TypeError });
  });
}

test('wrong options are refused', (t) => {
  t.throws(() => new LamportClock(undefined as never), { instanceOf: TypeError, message: /options of LamportClock/ });
  t.throws(() => new LamportClock({ node: 'a', counter: null as never }), {
    instanceOf: TypeError,
    message: /counter/,
  });
  t.throws(() => new LamportClock({ node: '' }), { instanceOf: TypeError, message: /node/ });
  t.throws(() => new LamportClock({ node: 'a', counter: -1n }), { instanceOf: RangeError });
  t.throws(() => new LamportClock({ node: 'a', start: 1n } as never), { instanceOf: TypeError, message: /"start"/ });
});
