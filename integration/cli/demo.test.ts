import test from 'ava';
import { until } from '../lock/support/until.ts';
import { HoldfastProcess, isAlive } from './holdfast-process.ts';
import { documents } from './terminal.ts';

// As somebody runs it who has just installed the package. What they have set for an etcd of theirs is not touched.
const environment = { HOLDFAST_ENDPOINTS: 'http://127.0.0.1:1', HOLDFAST_NAMESPACE: 'theirs' };

/** The lines of the findings: the verdict, the name, and what was found. */
const FINDING = /^ {2}(ok|FAILED) +(\S+(?: \S+)*) {2,}(.*)$/gm;

test.serial('the demo shows what is promised, finds that it holds, and leaves nothing', async (t) => {
  await using demo = new HoldfastProcess(['demo'], environment);
  await until('the workers to count', () => demo.out.includes('writes 2 with token'));
  const workers = demo.children;
  const { code, out, err } = await demo.ended;
  t.log(out);
  t.is(code, 0);
  t.is(err, '');
  t.deepEqual(
    [...out.matchAll(FINDING)].map(([, verdict, name]) => `${name}: ${verdict}`),
    [
      'tokens rise: ok',
      'no write lost: ok',
      'late write refused: ok',
      'lost before lease ends: ok',
      'no lock without etcd: ok',
      'reads go on, and age: ok',
      'all recover: ok',
      'change reaches all: ok',
      'reads make no call: ok',
      'another leader elected: ok',
      'no tick run twice: ok',
      'every tick on record: ok',
      'story came to its end: ok',
    ],
  );
  const [, late] = /stops \w+ \(SIGSTOP, pid \d+\), whose write with token (\d+) is on its way/.exec(out) ?? [];
  t.regex(out, new RegExp(`guard +refuses token ${late}: it has seen \\d+`));
  t.true(
    out.split('\n').every((line) => line.length <= 110),
    'lines fit',
  );
  t.false(out.includes('\u001B'), 'no colours on a pipe');
  t.is(workers.length, 2);
  t.deepEqual(workers.filter(isAlive), []);
});

test.serial('without the guard a write is lost, and the demo finds so', async (t) => {
  await using demo = new HoldfastProcess(['demo', '--no-fencing', '--json'], environment);
  const ended = await demo.ended;
  t.log(ended.out);
  t.is(ended.code, 1);
  t.is(ended.err, '');
  const findings = documents(ended).filter(({ type }) => type === 'finding');
  t.is(findings.length, 13);
  t.deepEqual(
    findings.filter(({ held }) => held === false).map(({ name }) => name),
    ['tokens rise', 'no write lost', 'late write refused'],
  );
  const writes = documents(ended).filter(({ type }) => type === 'wrote');
  t.true(
    writes.some(({ before, value }) => Number(value) <= Number(before)),
    'the late write is among them, over what came between',
  );
});

for (const signal of ['SIGKILL', 'SIGINT'] as const) {
  test.serial(`a demo that is ended by ${signal} while it has stopped a worker leaves no process`, async (t) => {
    await using demo = new HoldfastProcess(['demo', '--json'], environment);
    await until('a worker to be stopped', () => demo.out.includes('"type":"stopped"'));
    const workers = demo.children;
    t.is(workers.length, 2);
    t.true(workers.every(isAlive));
    demo.child.kill(signal);
    const { code, err } = await demo.ended;
    t.is(code, signal === 'SIGINT' ? 1 : null);
    t.is(err, '');
    await until('the workers to end', () => !workers.some(isAlive));
  });
}

test.serial('a demo that is killed while its workers are starting leaves no process', async (t) => {
  await using demo = new HoldfastProcess(['demo'], environment);
  await until('the workers to be there', () => demo.children.length === 2);
  const workers = demo.children;
  demo.child.kill('SIGKILL');
  await until('the workers to end', () => !workers.some(isAlive));
  t.is((await demo.ended).err, '');
});
