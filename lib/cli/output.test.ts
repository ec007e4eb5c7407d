import test from 'ava';
import { oneLine, Output, showDuration, showInstant, showSize } from './output.ts';

function scene(options: { readonly isColoured?: boolean; readonly isJson?: boolean } = {}) {
  const said: string[] = [];
  const noted: string[] = [];
  const output = new Output({
    out: { write: (text) => said.push(text) },
    err: { write: (text) => noted.push(text) },
    isColoured: false,
    isJson: false,
    ...options,
  });
  return { output, said: () => said.join(''), noted: () => noted.join('') };
}

test('the columns of a table are as wide as they need to be, and the last one is as long as it is', (t) => {
  const { output, said } = scene();
  output.table(
    ['NAME', 'VALUE'],
    [
      ['a', 'x'],
      ['longer', 'a longer value'],
    ],
  );
  t.is(said(), 'NAME    VALUE\na       x\nlonger  a longer value\n');
});

test('a very long cell moves its own row, and no other one', (t) => {
  const { output, said } = scene();
  const long = 'x'.repeat(60);
  output.table(
    ['NAME', 'VALUE'],
    [
      [long, '1'],
      ['a', '2'],
    ],
  );
  t.is(said(), `NAME${' '.repeat(38)}VALUE\n${long}  1\na${' '.repeat(41)}2\n`);
});

test('colours are for eyes', (t) => {
  const { output, said } = scene({ isColoured: true });
  output.table(['NAME'], [['a']]);
  t.is(said(), '\u001B[2mNAME\u001B[0m\na\n');
});

test('programs get one document a line, with bigints as decimal text', (t) => {
  const { output, said } = scene({ isJson: true });
  output.tell('for people', { revision: 2n ** 60n, at: new Date(0), none: undefined });
  t.is(said(), '{"revision":"1152921504606846976","at":"1970-01-01T00:00:00.000Z"}\n');
});

test('a note goes to the standard error, without the userinfo of a URL', (t) => {
  const { output, said, noted } = scene();
  output.note('no contact with http://root:secret@10.0.0.1:2379');
  t.is(said(), '');
  t.is(noted(), 'no contact with http://10.0.0.1:2379\n');
});

const durations: readonly (readonly [ms: number, shown: string])[] = [
  [-5, '0ms'],
  [0, '0ms'],
  [999, '999ms'],
  [999.6, '999ms'],
  [1_000, '1s'],
  [1_999, '1s'],
  [59_999, '59s'],
  [61_000, '1m 1s'],
  [3_600_000, '1h'],
  [3_661_000, '1h 1m'],
  [90_000_000, '1d 1h'],
  [Number.POSITIVE_INFINITY, 'for ever'],
];
for (const [ms, shown] of durations) {
  test(`${ms} ms are shown as ${shown}`, (t) => {
    t.is(showDuration(ms), shown);
  });
}

test('an instant is shown to the second, or to the millisecond where it has some', (t) => {
  t.is(showInstant(new Date('2026-11-27T03:00:00.000Z')), '2026-11-27 03:00:00Z');
  t.is(showInstant(new Date('2026-11-27T03:00:00.017Z')), '2026-11-27 03:00:00.017Z');
});

test('text of others moves no cursor and begins no line', (t) => {
  t.is(oneLine('a\nb\u001B[31m\u009Bc"ü\u007F'), 'a\\nb\\u001b[31m\\u009bc"ü\\u007f');
});

test('a size is in MiB, and what has not come to one in KiB', (t) => {
  const sizes: readonly (readonly [number, string])[] = [
    [0, '0 KiB'],
    [20_480, '20 KiB'],
    [1024 * 1024, '1 MiB'],
    [3_000_000, '3 MiB'],
  ];
  for (const [bytes, text] of sizes) t.is(showSize(bytes), text);
});
