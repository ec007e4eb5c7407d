import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, stat, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

// What tests need and npm does not bring lives in `.cache`, which is not under version control. Several test processes
// ask for the same thing at once, so:
//
// 1. A folder is filled under another name and renamed into place. Who sees it sees all of it, and of two who filled it
//    at once the first wins. This alone makes it correct.
// 2. A lock folder (mkdir is atomic) only saves the second one the work. A lock whose owner is dead, or that is older
//    than a fill can take, is stepped over; at worst the work is then done twice.

const longestFillMs = 5 * 60_000;
const pollMs = 100;

/** The root of this repository: the nearest folder above with a package.json, wherever the compiled file stands. */
const repositoryRoot: string = findRepositoryRoot(import.meta.dirname);

/** Where provisioned servers live. */
export const cacheRoot: string = path.join(repositoryRoot, '.cache');

/** Something a test needs could not be had. The message says what the reader can do about it. */
export class ProvisionError extends Error {
  override readonly name = 'ProvisionError';
}

/** Resolves to the folder `.cache/<name>`, which `fill` has filled once, by whichever process came first. */
export async function cachedFolder(name: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const folder = path.join(cacheRoot, name);
  if (existsSync(folder)) return folder;

  await mkdir(path.dirname(folder), { recursive: true });
  const lock = `${folder}.lock`;
  while (!(await takeLock(lock))) {
    await sleep(pollMs);
    if (existsSync(folder)) return folder;
  }
  try {
    if (existsSync(folder)) return folder;
    const staging = await mkdtemp(`${folder}.staging-`);
    try {
      await fill(staging);
      await moveIntoPlace(staging, folder);
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
    return folder;
  } finally {
    await rm(lock, { recursive: true, force: true });
  }
}

async function moveIntoPlace(staging: string, folder: string): Promise<void> {
  try {
    await rename(staging, folder);
  } catch (error) {
    // Somebody who did not respect a lock was first. Theirs is as good as ours.
    if (!existsSync(folder)) throw error;
  }
}

async function takeLock(lock: string): Promise<boolean> {
  try {
    await mkdir(lock);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (await isStale(lock)) {
      // Renaming succeeds for one process only, so a fresh lock is never removed by a slow second one.
      const aside = `${lock}.stale-${process.pid}-${process.hrtime.bigint()}`;
      await rename(lock, aside).catch(() => undefined);
      await rm(aside, { recursive: true, force: true });
    }
    return false;
  }
  await writeFile(path.join(lock, 'owner'), String(process.pid));
  return true;
}

async function isStale(lock: string): Promise<boolean> {
  try {
    if (Date.now() - (await stat(lock)).mtimeMs > longestFillMs) return true;
    const owner = Number(await readFile(path.join(lock, 'owner'), 'utf8'));
    return owner > 0 && !isAlive(owner);
  } catch {
    // It vanished, or its owner is about to write its name: not stale, look again.
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function findRepositoryRoot(from: string): string {
  if (existsSync(path.join(from, 'package.json'))) return from;
  const parent = path.dirname(from);
  if (parent === from) throw new ProvisionError(`Expected a package.json above ${import.meta.dirname}, found none.`);
  return findRepositoryRoot(parent);
}
