import test from 'ava';
import { Ambient } from './ambient.ts';

test('what runs within is seen by what it calls and awaits, and by nobody else', async (t) => {
  const [one, other] = [new Ambient<string>(), new Ambient<string>()];
  const seen: unknown[] = [];
  const look = async (): Promise<void> => {
    await Promise.resolve();
    seen.push([one.get(), other.get()]);
  };
  await Promise.all([
    look(),
    one.run('a', () => other.run('b', async () => await one.run('c', look))),
    one.run('d', look),
  ]);
  t.deepEqual(
    new Set(seen.map(String)),
    new Set(
      [
        [undefined, undefined],
        ['c', 'b'],
        ['d', undefined],
      ].map(String),
    ),
  );
  t.is(one.get(), undefined);
});
