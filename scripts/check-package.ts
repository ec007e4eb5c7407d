/**
 * Installs what would be published into an empty project, as its user would, and uses it there: every entry point is imported, the command line
 * runs, and so does every snippet of the README, in its surrounding of scripts/readme. Exits with 1 for what does not work. Expects the package
 * to be built.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { PostgresServer } from '../integration/servers/postgres-server.ts';
import { programsOf, snippetsOf } from './snippets.ts';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../..');

/** What the snippets use beside the package, as their users have it. */
const OTHERS = ['@opentelemetry/api', '@opentelemetry/sdk-metrics', '@types/node', '@types/pg', 'pg', 'zod'];

/** As strict as a user may be, the package's own types included. Nor may a surrounding supply what no snippet takes. */
const TSCONFIG = {
  compilerOptions: {
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable'],
    module: 'nodenext',
    types: ['node'],
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    noUnusedLocals: true,
    outDir: 'compiled',
    sourceMap: true,
  },
};

/** More than any of them takes on a busy machine. */
const PROGRAM_MS = 60_000;

const project = await mkdtemp(path.join(os.tmpdir(), 'holdfast-package-'));
try {
  await install();
  await importAll();
  await runSnippets();
  console.log('The package works in an empty project.');
} finally {
  await rm(project, { recursive: true, force: true });
}

async function install(): Promise<void> {
  const { stdout: packed } = await run('npm', ['pack', '--json', '--pack-destination', project], { cwd: root });
  const [{ filename }] = JSON.parse(packed) as [{ readonly filename: string }];
  await writeFile(path.join(project, 'package.json'), JSON.stringify({ name: 'empty', private: true, type: 'module' }));
  const env = { ...process.env, npm_config_loglevel: 'error' };
  await run('npm', ['install', '--no-audit', '--no-fund', path.join(project, filename)], { cwd: project, env });
}

async function importAll(): Promise<void> {
  const manifest = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as {
    readonly exports: Readonly<Record<string, unknown>>;
  };
  for (const subpath of Object.keys(manifest.exports)) {
    if (subpath.endsWith('.json')) continue;
    const name = `holdfast${subpath.slice(1)}`;
    const program = `console.log(Object.keys(await import('${name}')).length)`;
    const { stdout } = await run('node', ['--input-type=module', '-e', program], { cwd: project });
    if (Number(stdout) === 0) throw new Error(`${name} exports nothing`);
    console.log(`${name}: ${stdout.trim()} exports`);
  }
  const { stdout: help } = await run(path.join(project, 'node_modules/.bin/holdfast'), ['help'], { cwd: project });
  if (!help.includes('holdfast COMMAND')) throw new Error(`holdfast help said: ${help}`);
}

/** Compiles all, then runs one after the other, also after a failure. */
async function runSnippets(): Promise<void> {
  const snippets = snippetsOf(await readFile(path.join(root, 'README.md'), 'utf8'));
  const programs = await programsOf(snippets, path.join(root, 'scripts/readme'));
  for (const { file, code } of programs) {
    /* Port 2379 may be somebody's. */
    await writeFile(path.join(project, file), code.replaceAll("'http://127.0.0.1:2379'", 'etcd.endpoint'));
  }
  await Promise.all(OTHERS.map(link));
  await writeFile(path.join(project, 'tsconfig.json'), JSON.stringify(TSCONFIG));
  const tsc = path.join(root, 'node_modules/.bin/tsc');
  if (!(await succeeds('The snippets compile', [tsc, '--pretty']))) throw new Error('The snippets do not compile');

  await using postgres = await PostgresServer.start();
  const env = { DATABASE_URL: postgres.connectionString, PATH: `${project}/node_modules/.bin:${process.env['PATH']}` };
  const failed: string[] = [];
  for (const { file, line } of programs) {
    const command = file.endsWith('.sh')
      ? ['sh', '-eu', file]
      : ['node', '--enable-source-maps', `compiled/${file.replace(/ts$/, 'js')}`];
    if (!(await succeeds(`README.md, line ${line}: ${file}`, command, env))) failed.push(file);
  }
  if (failed.length > 0) throw new Error(`Snippets of the README failed: ${failed.join(', ')}`);
}

/** Of the repository, whose lock file says which version. */
async function link(name: string): Promise<void> {
  const place = path.join(project, 'node_modules', name);
  await rm(place, { recursive: true, force: true });
  await mkdir(path.dirname(place), { recursive: true });
  await symlink(path.join(root, 'node_modules', name), place);
}

async function succeeds(what: string, [file = '', ...words]: readonly string[], env = {}): Promise<boolean> {
  const begunAt = performance.now();
  try {
    await run(file, words, { cwd: project, env: { ...process.env, ...env }, timeout: PROGRAM_MS });
    console.log(`${what}: ${Math.round(performance.now() - begunAt)} ms`);
    return true;
  } catch (error) {
    const { message, stdout } = error as Error & { readonly stdout: string };
    console.error(`${what}: failed\n${stdout}${message}`);
    return false;
  }
}
