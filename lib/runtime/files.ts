import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';

/** Files, injected: the tests and the simulation have disks that are full, or were cut off in the middle of a write. */
export interface Files {
  /** The text of a file; `undefined` if there is none. Waits for the disk. */
  read(file: string): string | undefined;
  /** Writes a file as a whole: whoever reads it, after whatever crash, finds the old text or the new one. Makes its folder. */
  replace(file: string, text: string): Promise<void>;
  /** Renames a file that cannot be used, so that somebody may look at it. */
  setAside(file: string): void;
}

/** Only for their owner: what is written may hold secrets. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

export const systemFiles: Files = {
  read(file) {
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  },

  async replace(file, text) {
    await mkdir(path.dirname(file), { recursive: true, mode: FOLDER_MODE });
    /* A name of its own, since other processes may write the same file now. */
    const temporary = `${file}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
    try {
      const handle = await open(temporary, 'wx', FILE_MODE);
      try {
        await handle.writeFile(text);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, file);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      throw error;
    }
  },

  setAside(file) {
    renameSync(file, `${file}.unusable`);
  },
};
