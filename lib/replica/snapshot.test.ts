import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import * as fc from 'fast-check';
import { CoordinationUnavailableError, TooStaleError } from '../errors.ts';
import { systemFiles, type Files } from '../runtime/files.ts';
import type { KeyValue } from '../store/store.ts';
import { isPolluted } from '../testing/arbitraries.ts';
import { VirtualWorld } from '../testing/virtual-world.ts';
import { decodeSnapshot, encodeSnapshot } from './snapshot.ts';

/** A disk in memory. */
class MemoryFiles implements Files {
  readonly texts = new Map<string, string>();
  isFull = false;

  read(file: string): string | undefined {
    return this.texts.get(file);
  }

  replace(file: string, text: string): Promise<void> {
    if (this.isFull) return Promise.reject(new Error('ENOSPC'));
    this.texts.set(file, text);
    return Promise.resolve();
  }

  setAside(file: string): void {
    this.texts.set(`${file}.unusable`, this.texts.get(file) ?? '');
    this.texts.delete(file);
  }

  /** The snapshots, without those that were set aside. */
  get names(): string[] {
    return [...this.texts.keys()].filter((name) => name.endsWith('.json'));
  }
}

const span = { prefix: 'test/cache/a/' };

const anyEntry: fc.Arbitrary<KeyValue> = fc.record({
  key: fc.string({ unit: 'binary' }),
  value: fc.string({ unit: 'binary' }),
  createRevision: fc.bigInt(1n, 2n ** 62n),
  modRevision: fc.bigInt(1n, 2n ** 62n),
  version: fc.bigInt(1n, 2n ** 62n),
  lease: fc.constant(0n),
});

test('what is written is read again, whatever the values are', (t) => {
  fc.assert(
    fc.property(fc.array(anyEntry), (entries) => {
      t.deepEqual(decodeSnapshot(span, encodeSnapshot(span, 7n, entries)), entries);
    }),
  );
});

test('a file that was cut short or changed anywhere is refused', (t) => {
  const text = encodeSnapshot(span, 7n, [
    { key: 'test/cache/a/b', value: 'v', createRevision: 1n, modRevision: 2n, version: 1n, lease: 0n },
  ]);
  for (let length = 0; length < text.length - 1; length += 1) {
    t.throws(() => decodeSnapshot(span, text.slice(0, length)), undefined, `cut to ${length}`);
  }
  t.throws(() => decodeSnapshot(span, text.replace('"v"', '"w"')));
});

/** A file with any second line, and a checksum that fits it. */
function fileWith(body: string): string {
  const [header = ''] = encodeSnapshot(span, 7n, []).split('\n');
  const sha256 = createHash('sha256').update(body).digest('hex');
  return `${JSON.stringify({ ...(JSON.parse(header) as object), sha256 })}\n${body}\n`;
}

test('a file is read as entries or refused by an Error that says why, whatever is in it', (t) => {
  const row = fc.tuple(...[0, 1, 2, 3, 4].map(() => fc.oneof(fc.string(), fc.constant('7'), fc.jsonValue())));
  const body = fc.oneof(
    fc.json(),
    fc.array(fc.oneof(row, fc.jsonValue())).map((rows) => JSON.stringify(rows)),
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json(),
    fc.uint8Array().map((bytes) => Buffer.from(bytes).toString()),
    fc.tuple(fc.json(), body).map((lines) => lines.join('\n')),
    body.map((each) => fileWith(each.replaceAll('\n', ' '))),
  );
  fc.assert(
    fc.property(text, (given) => {
      let entries: readonly KeyValue[] = [];
      try {
        entries = decodeSnapshot(span, given);
      } catch (error) {
        t.true(error instanceof Error && /^(it|its|one of its) /.test(error.message), String(error));
      }
      for (const { key, value, createRevision, modRevision, version } of entries) {
        t.true(typeof key === 'string' && typeof value === 'string');
        t.true([createRevision, modRevision, version].every((each) => typeof each === 'bigint' && each > 0n));
      }
      t.false(isPolluted(entries));
    }),
    { numRuns: 1_000 },
  );
});

const unusable: readonly [string, string][] = [
  ['an empty file', ''],
  ['something else', 'hello'],
  ['another span', encodeSnapshot({ prefix: 'other/' }, 1n, [])],
  ['a list of something else', fileWith('[null]')],
  ['an entry without a text', fileWith('[[1,"v","1","1","1"]]')],
  ['an entry without a revision', fileWith('[["k","v","","1","1"]]')],
  ['no list', fileWith('null')],
  ['a newer format', encodeSnapshot(span, 1n, []).replace('"holdfastSnapshot":1', '"holdfastSnapshot":2')],
];
for (const [what, text] of unusable) {
  test(`${what} is ignored with a warning and set aside`, async (t) => {
    const files = new MemoryFiles();
    const first = new VirtualWorld();
    const before = first.start({ snapshotDir: '/s' }, files);
    const cache = before.coordinator.cache('a/');
    await first.settle(cache.ready());
    await first.settle(cache.put('x', '1'));
    await first.settle(before.coordinator.close());
    const [file] = files.names;
    files.texts.set(file ?? '', text);

    const world = new VirtualWorld();
    world.cluster.stop();
    const { coordinator } = world.start({ snapshotDir: '/s' }, files);
    t.is(coordinator.cache('a/').get('x'), undefined);
    t.is(world.runtime.logger.of('snapshot.unusable').length, 1);
    t.deepEqual(files.names, []);
    t.is(files.texts.size, 1);
  });
}

test('a process that starts while etcd is away serves what the last one knew, as a snapshot', async (t) => {
  const files = new MemoryFiles();
  const first = new VirtualWorld();
  const before = await (async () => {
    const process = first.start({ snapshotDir: '/s' }, files);
    const cache = process.coordinator.cache('routes/');
    const limits = process.coordinator.config<{ perMinute: number }>('limits');
    await first.settle(Promise.all([cache.ready(), limits.ready()]));
    await first.settle(cache.put('eu', 'http://one'));
    await first.settle(limits.set({ perMinute: 7 }));
    return process;
  })();
  await first.advance(2_000);
  t.is(files.names.length, 2);

  const world = new VirtualWorld();
  world.cluster.stop();
  const { coordinator } = world.start({ snapshotDir: '/s' }, files);
  const routes = coordinator.cache('routes/');
  const limits = coordinator.config<{ perMinute: number }>('limits');
  t.is(routes.get('eu')?.value, 'http://one');
  t.is(routes.get('eu')?.source, 'snapshot');
  t.is(routes.get('eu')?.ageMs, Number.POSITIVE_INFINITY);
  t.is(limits.get()?.value.perMinute, 7);
  t.is(limits.get()?.version, 1);
  t.is(limits.get()?.source, 'snapshot');
  t.throws(() => coordinator.cache('routes/', { onStale: 'throw', maxStalenessMs: 60_000 }).get('eu'), {
    instanceOf: TooStaleError,
  });
  await t.throwsAsync(world.settle(routes.ready()), { instanceOf: CoordinationUnavailableError });

  const changes = routes.watch();
  world.cluster.start();
  await world.settle(Promise.all([routes.ready(), limits.ready()]));
  t.is(routes.get('eu'), undefined);
  t.is(limits.get(), undefined);
  const next = await world.settle(changes.next());
  if (next.done === true) throw new Error('the sequence ended');
  t.deepEqual([next.value.type, next.value.key, next.value.resynced], ['delete', 'eu', true]);
  await first.settle(before.coordinator.close());
});

test('a full disk costs a warning and nothing else', async (t) => {
  const files = new MemoryFiles();
  files.isFull = true;
  const world = new VirtualWorld();
  const { coordinator } = world.start({ snapshotDir: '/s' }, files);
  const cache = coordinator.cache('routes/');
  await world.settle(cache.ready());
  await world.settle(cache.put('eu', '1'));
  await world.advance(3_000);
  t.is(cache.get('eu')?.value, '1');
  t.true(world.runtime.logger.of('snapshot.unwritten').length > 0);
  files.isFull = false;
  await world.settle(cache.put('eu', '2'));
  await world.settle(coordinator.close());
  t.is(files.names.length, 1);
});

test('a file is replaced as a whole, by any number of writers at once, and only its owner may read it', async (t) => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'holdfast-snapshot-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'inner', 'a.json');
  const texts = Array.from({ length: 20 }, (_, index) => String(index).repeat(50_000));
  await Promise.all(texts.map((text) => systemFiles.replace(file, text)));
  t.true(texts.includes(await readFile(file, 'utf8')));
  t.deepEqual(await readdir(path.dirname(file)), ['a.json']);
  t.is((await stat(file)).mode & 0o777, 0o600);
  t.is(systemFiles.read(path.join(folder, 'none')), undefined);
  await writeFile(file, 'x');
  systemFiles.setAside(file);
  t.deepEqual(await readdir(path.dirname(file)), ['a.json.unusable']);
});
