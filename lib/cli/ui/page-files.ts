import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

export interface PageFile {
  /** As `Content-Type` has it. */
  readonly type: string;
  readonly text: string;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml; charset=utf-8',
};

/** Where the code of the page is, compiled; and what needs no compiling, as it was written. */
const FOLDERS: readonly string[] = [
  path.join(import.meta.dirname, 'page'),
  path.join(import.meta.dirname, '../../../../lib/cli/ui/page'),
];

/** All that the page is made of, by name. */
export async function readPage(): Promise<ReadonlyMap<string, PageFile>> {
  const files = new Map<string, PageFile>();
  for (const folder of FOLDERS) {
    for (const name of await readdir(folder)) {
      const type = TYPES[path.extname(name)];
      if (type !== undefined) files.set(name, { type, text: await readFile(path.join(folder, name), 'utf8') });
    }
  }
  return files;
}
