/**
 * Makes one mistake after the other in a copy of the compiled code, and looks whether the simulation, or the unit test that is there for
 * it, notices. Exits with 1 for each that nobody did, and for each that can no longer be made, since the code has changed under it.
 * `--only TEXT`: those with that in their name.
 */
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { mutants, type Mutant } from './mutant-list.ts';

const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });
const root = path.resolve(import.meta.dirname, '../..');
const chosen = mutants.filter(({ name }) => name.includes(values.only));
const waiting = [...chosen];
let escaped = 0;

/* Two at a time: each is one process that computes. */
await Promise.all([work(), work()]);
console.log(`${chosen.length} mistakes, ${escaped} not noticed`);
if (escaped > 0 || chosen.length === 0) process.exitCode = 1;

async function work(): Promise<void> {
  const copy = await mkdtemp(path.join(os.tmpdir(), 'holdfast-mutants-'));
  try {
    for (const item of ['dist', 'lib', 'package.json', 'ava.config.js']) {
      await cp(path.join(root, item), path.join(copy, item), { recursive: true });
    }
    await symlink(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) await judge(copy, mutant);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

async function judge(copy: string, mutant: Mutant): Promise<void> {
  const file = path.join(copy, 'dist/lib', `${mutant.file}.js`);
  const original = await readFile(file, 'utf8');
  const parts = original.split(mutant.from);
  if (parts.length !== 2) {
    console.log(`✘ ${mutant.name}: cannot be made, the place was found ${parts.length - 1} times`);
    escaped += 1;
    return;
  }
  await writeFile(file, parts.join(mutant.to));
  try {
    const { isNoticed, by } = await lookAt(copy, mutant);
    if (!isNoticed) escaped += 1;
    console.log(`${isNoticed ? '✔' : '✘'} ${mutant.name}: ${isNoticed ? '' : 'not '}noticed by ${by}`);
  } finally {
    await writeFile(file, original);
  }
}

async function lookAt(
  copy: string,
  { caughtBy }: Mutant,
): Promise<{ readonly isNoticed: boolean; readonly by: string }> {
  if (typeof caughtBy === 'string') {
    const { code } = await run(copy, ['node_modules/ava/entrypoints/cli.mjs', caughtBy]);
    return { isNoticed: code !== 0, by: caughtBy };
  }
  const args = ['dist/scripts/sim.js', '--seeds', String(caughtBy), '--stop', '--workers', '1'];
  const { output } = await run(copy, args);
  /* By a seed that failed, and not by an average that was missed. */
  const seed = /^seed (\d+)$/m.exec(output)?.[1];
  return { isNoticed: seed !== undefined, by: `the simulation in ${seed ?? caughtBy} seeds` };
}

function run(cwd: string, args: readonly string[]): Promise<{ readonly code: number; readonly output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'ignore'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}
