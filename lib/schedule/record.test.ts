import test from 'ava';
import * as fc from 'fast-check';
import type { KeyValue } from '../store/store.ts';
import { isPolluted, storedText } from '../testing/arbitraries.ts';
import { errorText, readMark, readRecord, readSettled, sealMissed } from './record.ts';

function entry(value: string): KeyValue {
  return { key: 'k', value, createRevision: 5n, modRevision: 6n, version: 1n, lease: 0n };
}

test('an error is kept short, on a boundary of characters, and without credentials', (t) => {
  const text = errorText(new Error('ü'.repeat(1_000)));
  t.true(Buffer.byteLength(text) <= 300);
  t.regex(text, /^Error: ü+…$/);
  t.is(errorText(new Error('refused by postgres://me:secret@db/x')), 'Error: refused by postgres://db/x');
  t.is(errorText('plain'), 'plain');
});

const foreign = [
  '',
  'null',
  '7',
  '[]',
  '{}',
  '{"state":"started"}',
  '{"state":"finished","trigger":"schedule","scheduledForMs":1e300,"startedAtMs":1,"attempt":1,"epoch":0,"instanceId":"a"}',
  '{"state":"finished","trigger":"schedule","scheduledForMs":1,"startedAtMs":1,"attempt":1,"epoch":256,"instanceId":"a"}',
  '{"state":"finished","trigger":"schedule","scheduledForMs":1,"startedAtMs":1,"attempt":0,"epoch":0,"instanceId":"a"}',
  '{"state":"missed","fromMs":"1","toMs":2}',
  '{"state":"missed","fromMs":1,"toMs":2,"count":"3","instanceId":"a"}',
  '{"state":"missed","fromMs":1,"toMs":2,"count":3,"instanceId":7}',
  '{"state":"failed","trigger":"schedule","scheduledForMs":1,"startedAtMs":1,"attempt":1,"epoch":0,"instanceId":"a","error":{}}',
  '{"state":"failed","trigger":"schedule","scheduledForMs":1,"startedAtMs":1,"attempt":1,"epoch":0,"instanceId":"a","durationMs":""}',
];
for (const value of foreign) {
  test(`what somebody else has put there is no record: ${value}`, (t) => {
    t.is(readRecord(entry(value)), undefined);
    t.is(readSettled(entry(value)), undefined);
    t.is(readMark(entry(value)), undefined);
  });
}

test('a record goes through JSON with its token as decimals', (t) => {
  const value =
    '{"state":"finished","trigger":"schedule","scheduledForMs":0,"startedAtMs":1,"attempt":1,"epoch":0,"instanceId":"a","durationMs":3}';
  t.deepEqual(JSON.parse(JSON.stringify(readRecord(entry(value)))), {
    state: 'finished',
    scheduledFor: '1970-01-01T00:00:00.000Z',
    trigger: 'schedule',
    attempt: 1,
    token: '20480',
    instanceId: 'a',
    startedAt: '1970-01-01T00:00:00.001Z',
    durationMs: 3,
  });
});

test('missed ticks are read as they were sealed', (t) => {
  const missed = { fromMs: 1_000, toMs: 61_000, count: 2 };
  const read = { state: 'missed', scheduledFor: new Date(1_000), until: new Date(61_000), count: 2, instanceId: 'a' };
  t.deepEqual(readRecord(entry(sealMissed(missed, 'a'))), read as never);
});

const run = {
  state: 'failed',
  trigger: 'schedule',
  scheduledForMs: 1_000,
  startedAtMs: 1_005,
  attempt: 2,
  epoch: 3,
  instanceId: 'a',
  durationMs: 7,
  error: 'refused',
};
const missed = { state: 'missed', fromMs: 1_000, toMs: 61_000, count: 2, instanceId: 'a' };

test('what stands in a history is a record or none, whatever it is', (t) => {
  const isDate = (date: Date): boolean => date instanceof Date && !Number.isNaN(date.getTime());
  fc.assert(
    fc.property(storedText(run, missed), (text) => {
      const record = readRecord(entry(text));
      t.false(isPolluted(record));
      if (record === undefined) return;
      t.true(isDate(record.scheduledFor) && typeof record.instanceId === 'string');
      t.notThrows(() => JSON.stringify(record));
      if (record.state === 'missed') {
        t.true(isDate(record.until) && Number.isInteger(record.count) && record.count > 0);
      } else {
        t.true(typeof record.token === 'bigint' && isDate(record.startedAt) && record.attempt > 0);
        t.true(record.durationMs === undefined || Number.isFinite(record.durationMs));
        t.true(record.error === undefined || typeof record.error === 'string');
      }
    }),
    { numRuns: 1_000 },
  );
});

test('what stands for a settled tick, a request or a pause is one or none, whatever it is', (t) => {
  const settled = { atMs: 1_000, pattern: '* * * * *', timezone: 'UTC' };
  fc.assert(
    fc.property(storedText(settled, { atMs: 1_000, by: 'a' }), (text) => {
      const [tick, mark] = [readSettled(entry(text)), readMark(entry(text))];
      t.false(isPolluted(tick) || isPolluted(mark));
      t.true(tick === undefined || !Number.isNaN(new Date(tick.atMs).getTime()));
      t.true(tick === undefined || (typeof tick.pattern === 'string' && typeof tick.timezone === 'string'));
      t.true(mark === undefined || (!Number.isNaN(new Date(mark.atMs).getTime()) && typeof mark.by === 'string'));
    }),
    { numRuns: 1_000 },
  );
});
