/**
 * Installs what would be published into an empty project, as its user would, and uses it there: every entry point is imported, the command line runs,
 * and a lock is acquired on the embedded etcd. Exits with 1 for what does not work. Expects the package to be built.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../..');

const PROGRAM = `
import assert from 'node:assert/strict';
import { createCoordinator } from 'holdfast';
import { memoryGuard } from 'holdfast/guards/memory';
import { createPolicy } from 'holdfast/resilience';
import { startEmbeddedEtcd, TestWorld } from 'holdfast/testing';

const etcd = await startEmbeddedEtcd();
const coordinator = createCoordinator({ endpoints: etcd.endpoint });
const guard = memoryGuard();
await coordinator.lock('invoice:42').with((held) => guard.check('invoice:42', held.token), { timeoutMs: 10_000 });
const limits = coordinator.config('limits', { fallback: { perMinute: 60 } });
await limits.ready();
await limits.update((current) => ({ ...current, perMinute: 100 }));
assert.equal(limits.get()?.value.perMinute, 100);
assert.equal(await createPolicy({ name: 'p', timeoutMs: 1_000 }).execute(() => 7), 7);
await coordinator.close();
await etcd.stop();

const world = new TestWorld();
const { coordinator: inTime } = await world.connect();
const held = await world.settle(inTime.lock('a').acquire());
await world.advance(3_600_000);
assert.ok(held.isHeld());
console.log('used');
`;

const project = await mkdtemp(path.join(os.tmpdir(), 'holdfast-package-'));
try {
  const npm = (...words: string[]) =>
    run('npm', words, { cwd: project, env: { ...process.env, npm_config_loglevel: 'error' } });
  const { stdout: packed } = await run('npm', ['pack', '--json', '--pack-destination', project], { cwd: root });
  const [{ filename }] = JSON.parse(packed) as [{ readonly filename: string }];
  await writeFile(path.join(project, 'package.json'), JSON.stringify({ name: 'empty', private: true, type: 'module' }));
  await npm('install', '--no-audit', '--no-fund', path.join(project, filename));

  const manifest = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as {
    readonly exports: Readonly<Record<string, unknown>>;
  };
  for (const subpath of Object.keys(manifest.exports)) {
    if (subpath.endsWith('.json')) continue;
    const name = `holdfast${subpath.slice(1)}`;
    const { stdout } = await run(
      'node',
      ['--input-type=module', '-e', `console.log(Object.keys(await import('${name}')).length)`],
      {
        cwd: project,
      },
    );
    if (Number(stdout) === 0) throw new Error(`${name} exports nothing`);
    console.log(`${name}: ${stdout.trim()} exports`);
  }
  await writeFile(path.join(project, 'program.js'), PROGRAM);
  const { stdout: used } = await run('node', ['program.js'], { cwd: project });
  if (!used.includes('used')) throw new Error(`the program did not come to its end: ${used}`);
  const { stdout: help } = await run(path.join(project, 'node_modules/.bin/holdfast'), ['help'], { cwd: project });
  if (!help.includes('holdfast COMMAND')) throw new Error(`holdfast help said: ${help}`);
  console.log('The package works in an empty project.');
} finally {
  await rm(project, { recursive: true, force: true });
}
