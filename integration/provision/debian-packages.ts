import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { ProvisionError } from './cache-folder.ts';

const run = promisify(execFile);

// Debian's archive keyring stands at this path on every Debian; packages of another suite are checked against it.
const archiveKeyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

export interface DebianPackageOptions {
  /** A suite other than the machine's own, such as `trixie`, from the mirror that the machine itself uses. */
  readonly suite?: string | undefined;
  /** Whether to bring what the packages depend on and the machine has not installed. @default false */
  readonly withDependencies?: boolean | undefined;
}

/**
 * Downloads Debian packages and unpacks them into `folder`: nothing is installed, no service starts, no root is needed
 * and apt's own state is only read.
 */
export async function unpackDebianPackages(
  folder: string,
  packages: readonly string[],
  options: DebianPackageOptions = {},
): Promise<void> {
  if (process.platform !== 'linux') throw new ProvisionError('Debian packages can only be unpacked on Linux.');
  const workspace = await mkdtemp(path.join(os.tmpdir(), 'holdfast-apt-'));
  try {
    const downloads = await download(workspace, packages, options);
    for (const file of (await readdir(downloads)).filter((name) => name.endsWith('.deb'))) {
      await command('dpkg-deb', ['-x', path.join(downloads, file), folder], workspace);
    }
  } finally {
    await rm(workspace, { recursive: true, force: true });
  }
}

/**
 * Where the libraries among unpacked packages are. Debian keeps them one folder deeper, by the machine's architecture, whose name need not
 * be known here.
 */
export async function libraryFolders(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const root of [path.join(folder, 'usr', 'lib'), path.join(folder, 'lib')]) {
    if (!existsSync(root)) continue;
    const entries = await readdir(root, { withFileTypes: true });
    found.push(...entries.filter((entry) => entry.isDirectory()).map((entry) => path.join(root, entry.name)));
  }
  return found;
}

async function download(
  workspace: string,
  packages: readonly string[],
  { suite, withDependencies = false }: DebianPackageOptions,
): Promise<string> {
  const apt = await aptOptions(workspace);
  const fetchAll = async (settings: readonly string[], attempt: string): Promise<string> => {
    const downloads = path.join(workspace, attempt);
    await mkdir(downloads);
    const names = withDependencies ? await missingDependencies(settings, packages, workspace) : packages;
    await command('apt-get', [...settings, 'download', ...names], downloads);
    return downloads;
  };

  if (suite !== undefined) {
    const settings = [...apt.common, ...apt.ownLists, ...(await suiteOptions(workspace, suite))];
    await command('apt-get', [...settings, 'update'], workspace);
    return await fetchAll(settings, suite);
  }
  try {
    return await fetchAll(apt.common, 'known');
  } catch {
    // The machine's lists are missing, or older than its mirror. Fetch lists of our own.
    const settings = [...apt.common, ...apt.ownLists];
    await command('apt-get', [...settings, 'update'], workspace);
    return await fetchAll(settings, 'updated');
  }
}

async function aptOptions(workspace: string): Promise<{ common: string[]; ownLists: string[] }> {
  const cache = path.join(workspace, 'cache');
  const lists = path.join(workspace, 'lists');
  await mkdir(path.join(cache, 'archives', 'partial'), { recursive: true });
  await mkdir(path.join(lists, 'partial'), { recursive: true });
  return {
    common: [
      ...['-qq', '-o', `Dir::Cache=${cache}`, '-o', 'Acquire::Retries=3', '-o', 'Acquire::Languages=none'],
      // Where apt runs as root it would download as a user that cannot write here.
      ...['-o', 'APT::Sandbox::User=root'],
    ],
    ownLists: ['-o', `Dir::State::Lists=${lists}`],
  };
}

async function suiteOptions(workspace: string, suite: string): Promise<string[]> {
  const sources = path.join(workspace, `${suite}.list`);
  const signedBy = existsSync(archiveKeyring) ? `[signed-by=${archiveKeyring}] ` : '';
  await writeFile(sources, `deb ${signedBy}${await debianMirror(workspace)} ${suite} main\n`);
  return ['-o', `Dir::Etc::sourcelist=${sources}`, '-o', 'Dir::Etc::sourceparts=/dev/null'];
}

/** The mirror that this machine has Debian's main archive from. */
async function debianMirror(workspace: string): Promise<string> {
  const format = '$(REPO_URI) $(COMPONENT)';
  const listing = await command('apt-get', ['indextargets', '--no-release-info', '--format', format], workspace);
  const mirror = listing
    .split('\n')
    .map((line) => line.split(' '))
    .find(([uri, component]) => component === 'main' && uri !== undefined && /\/debian\/?$/.test(uri))?.[0];
  if (mirror === undefined) {
    throw new ProvisionError(
      'This machine has no Debian mirror among its apt sources, so other suites are out of reach.',
    );
  }
  return mirror;
}

async function missingDependencies(
  settings: readonly string[],
  packages: readonly string[],
  workspace: string,
): Promise<string[]> {
  const plan = await command(
    'apt-get',
    [...settings, '-s', 'install', '--no-install-recommends', ...packages],
    workspace,
  );
  const missing = plan.split('\n').flatMap((line) => /^Inst (\S+) /.exec(line)?.[1] ?? []);
  return [...new Set([...packages, ...missing])];
}

async function command(file: string, args: readonly string[], cwd: string): Promise<string> {
  try {
    const env = { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };
    const { stdout } = await run(file, args, { cwd, env, maxBuffer: 64 * 1024 * 1024, timeout: 240_000 });
    return stdout;
  } catch (error) {
    const failure = error as NodeJS.ErrnoException & { stderr?: string };
    const reason =
      failure.code === 'ENOENT' ? 'not found' : (failure.stderr?.trim().split('\n').at(-1) ?? failure.message);
    throw new ProvisionError(`${file} failed: ${reason}`, { cause: error });
  }
}
