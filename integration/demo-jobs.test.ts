import { readFileSync } from 'node:fs';
import test from 'ava';
import { accountsOf, JobsError, parseJobs, readJobs } from '../examples/demo/jobs.ts';

const GOOD = '{"id":"t-1","from":"ada","to":"ben","amount":1250}';

function job(fields: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ id: 't-2', from: 'ada', to: 'ben', amount: 1, ...fields });
}

test('the jobs that ship with the demo are 200 transfers among 8 accounts', (t) => {
  const jobs = parseJobs(readFileSync('examples/demo/jobs.ndjson', 'utf8'), 'jobs.ndjson');
  t.is(jobs.length, 200);
  t.is(accountsOf(jobs).length, 8);
});

test('empty lines, other line ends and a byte order mark do no harm', (t) => {
  const jobs = parseJobs(`\uFEFF${GOOD}\r\n\r\n${job({})}\n\n`, 'jobs');
  t.deepEqual(
    jobs.map(({ id }) => id),
    ['t-1', 't-2'],
  );
});

const wrong: readonly (readonly [title: string, line: string, said: RegExp])[] = [
  ['is no JSON', '{"id":', /expected a JSON object such as .*, got "\{\\"id\\":"/],
  ['is a list', '[1]', /expected a JSON object/],
  ['is null', 'null', /expected a JSON object/],
  ['has an unknown field', job({ currency: 'EUR' }), /expected only id, from, to, amount, got the field "currency"/],
  ['has a field of objects', `{"__proto__":{},${GOOD.slice(1)}`, /got the field "__proto__"/],
  ['has no id', job({ id: undefined }), /expected id to be .*, got nothing/],
  ['has an empty id', job({ id: '' }), /expected id to be .*, got ""/],
  ['has a number for an account', job({ from: 7 }), /expected from to be .*, got 7/],
  ['has an account with control characters', job({ to: 'a\u001b[31m' }), /expected to to be /],
  ['has an endless account', job({ to: 'x'.repeat(1_000) }), /expected to to be .*…$/],
  ['pays itself', job({ to: 'ada' }), /expected two accounts, got "ada" twice/],
  ['has a negative amount', job({ amount: -5 }), /expected amount to be a whole number of cents .*, got -5/],
  ['has no amount', job({ amount: undefined }), /expected amount .*, got nothing/],
  ['has an amount of nothing', job({ amount: 0 }), /expected amount .*, got 0/],
  ['has a fraction of a cent', job({ amount: 0.5 }), /expected amount .*, got 0\.5/],
  ['has an amount as text', job({ amount: '5' }), /expected amount .*, got "5"/],
  ['has an amount beyond all sums', job({ amount: 1e300 }), /expected amount .*, got 1e\+300/],
  ['has an id twice', job({ id: 't-1' }), /the id "t-1" stands on line 1 already/],
];
for (const [title, line, said] of wrong) {
  test(`a line that ${title} is named with its number`, (t) => {
    const error = t.throws(() => parseJobs(`${GOOD}\n\n${line}\n`, 'my.ndjson'), { instanceOf: JobsError });
    t.true(error.message.startsWith('my.ndjson:3: '), error.message);
    t.regex(error.message, said);
  });
}

test('of many wrong lines the first few are named, and the rest is counted', (t) => {
  const error = t.throws(() => parseJobs('x\n'.repeat(9), 'my.ndjson'), { instanceOf: JobsError });
  t.is(error.message.split('\n').length, 6);
  t.regex(error.message, /… and 4 more lines$/);
});

test('a file without a transfer, and one that is not there, are refused', async (t) => {
  t.throws(() => parseJobs('\n', 'my.ndjson'), { instanceOf: JobsError, message: /holds no transfer/ });
  await t.throwsAsync(readJobs('no-such-file'), {
    instanceOf: JobsError,
    message: /no-such-file cannot be read: ENOENT/,
  });
});
