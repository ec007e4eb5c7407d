import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, copyFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { cacheRoot, cachedFolder, ProvisionError } from './cache-folder.ts';
import { unpackDebianPackages } from './debian-packages.ts';

const run = promisify(execFile);

/**
 * The servers that tests may ask for by name, and the Debian suite that each comes from. `3.4` is any of its patches.
 * Debian's stable suites stay where they are; sid moves on, so its name stands for that version or any later one.
 */
const releases: Readonly<Record<EtcdVersion, { readonly suite: string; readonly fits: RegExp }>> = {
  '3.4': { suite: 'bookworm', fits: /^3\.4\./ },
  '3.5.16': { suite: 'trixie', fits: /^3\.5\.16$/ },
  '3.5.30': { suite: 'sid', fits: /^3\.(5\.([3-9]\d|\d{3,})|([6-9]|\d{2,})\.\d+)$/ },
};

export type EtcdVersion = '3.4' | '3.5.16' | '3.5.30';

/** Every version that {@link provideEtcd} knows by name, oldest first. */
export const etcdVersions: readonly EtcdVersion[] = Object.keys(releases) as EtcdVersion[];

/** Paths of real etcd binaries. */
export interface ProvidedEtcd {
  readonly etcd: string;
  readonly etcdctl: string;
  /** Comes with etcd 3.5 and newer. */
  readonly etcdutl: string | undefined;
  /** What the server says of itself, such as `3.5.16`. */
  readonly version: string;
}

/**
 * Finds a real etcd, or fetches one. In this order: `HOLDFAST_ETCD_BIN` (the binary or its folder), PATH, `.cache/etcd`,
 * Debian's packages unpacked into `.cache/etcd`. A version asked for by name is looked for in the same places; one that is
 * there in another version is passed over.
 */
export async function provideEtcd({ version }: { version?: EtcdVersion | undefined } = {}): Promise<ProvidedEtcd> {
  const key = version ?? 'default';
  const known = provided.get(key);
  if (known !== undefined) return await known;
  const providing = findOrFetch(version);
  provided.set(key, providing);
  return await providing;
}

const provided = new Map<string, Promise<ProvidedEtcd>>();

async function findOrFetch(version: EtcdVersion | undefined): Promise<ProvidedEtcd> {
  const named = process.env['HOLDFAST_ETCD_BIN'];
  if (named !== undefined && named !== '') {
    const found = await inspect(await binaryOf(named));
    if (found === undefined) throw unavailable(`HOLDFAST_ETCD_BIN=${named} is no etcd server.`);
    if (matches(found, version)) return await withTools(found);
  }
  for (const etcd of [onPath('etcd'), ...cachedBinaries(version)]) {
    const found = etcd === undefined ? undefined : await inspect(etcd);
    if (found !== undefined && matches(found, version)) return await withTools(found);
  }
  const found = await inspect(path.join(await fetch(version), 'etcd'));
  if (found === undefined) throw unavailable('The etcd that was fetched does not run here.');
  if (!matches(found, version)) {
    await rm(path.dirname(found.etcd), { recursive: true, force: true });
    throw unavailable(`Expected etcd ${version}, but its Debian suite has moved on to ${found.version}.`);
  }
  return await withTools(found);
}

interface FoundServer {
  readonly etcd: string;
  readonly version: string;
}

async function inspect(etcd: string): Promise<FoundServer | undefined> {
  try {
    const { stdout } = await run(etcd, ['--version'], { timeout: 10_000 });
    const version = /etcd Version: (\S+)/.exec(stdout)?.[1];
    return version === undefined ? undefined : { etcd, version };
  } catch {
    return undefined;
  }
}

function matches(found: FoundServer, version: EtcdVersion | undefined): boolean {
  return version === undefined || releases[version].fits.test(found.version);
}

async function withTools({ etcd, version }: FoundServer): Promise<ProvidedEtcd> {
  const beside = (tool: string): string | undefined => {
    const file = path.join(path.dirname(etcd), tool);
    return existsSync(file) ? file : undefined;
  };
  const etcdctl = beside('etcdctl') ?? onPath('etcdctl') ?? path.join(await fetch(undefined), 'etcdctl');
  return { etcd, etcdctl, etcdutl: beside('etcdutl') ?? onPath('etcdutl'), version };
}

/** Resolves to a folder with `etcd`, `etcdctl` and, where there is one, `etcdutl`. */
async function fetch(version: EtcdVersion | undefined): Promise<string> {
  try {
    return await cachedFolder(path.join('etcd', version ?? 'default'), async (folder) => {
      const suite = version === undefined ? undefined : releases[version].suite;
      await unpackDebianPackages(folder, ['etcd-server', 'etcd-client'], { suite });
      for (const tool of ['etcd', 'etcdctl', 'etcdutl']) {
        const unpacked = path.join(folder, 'usr', 'bin', tool);
        if (!existsSync(unpacked)) continue;
        await copyFile(unpacked, path.join(folder, tool));
        await chmod(path.join(folder, tool), 0o755);
      }
      for (const rest of ['usr', 'etc', 'lib', 'var'])
        await rm(path.join(folder, rest), { recursive: true, force: true });
      await chmod(folder, 0o755);
    });
  } catch (error) {
    throw unavailable(error instanceof Error ? error.message : String(error), error);
  }
}

function cachedBinaries(version: EtcdVersion | undefined): string[] {
  const folders = version === undefined ? ['default'] : [version, 'default'];
  return folders.map((folder) => path.join(cacheRoot, 'etcd', folder, 'etcd')).filter((file) => existsSync(file));
}

async function binaryOf(named: string): Promise<string> {
  const found = await stat(named).catch(() => undefined);
  return path.resolve(found?.isDirectory() === true ? path.join(named, 'etcd') : named);
}

function onPath(name: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => path.join(folder, name)).find((file) => existsSync(file));
}

function unavailable(reason: string, cause?: unknown): ProvisionError {
  return new ProvisionError(
    `No etcd: ${reason.replace(/\.?$/, '.')} ` +
      'Set HOLDFAST_ETCD_BIN to an etcd 3.4 or newer, or install one on PATH (Debian: etcd-server and etcd-client); ' +
      'for the examples alone, `docker compose up -d` is enough.',
    { cause },
  );
}
