import test from 'ava';
import type { KeyValue } from '../store/store.ts';
import { errorText, readMark, readRecord, readSettled } from './record.ts';

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
