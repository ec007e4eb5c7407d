import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fromJson, readHistory, toJson } from './history.ts';
import type { Evidence, Testimony } from './judgement.ts';

/** The evidence of a run in a folder: a file for each process, and one of what the run itself saw. So it can be judged again, later. */

const TESTIMONY = 'run.json';
const HISTORY = '.ndjson';

export function writeTestimony(folder: string, testimony: Testimony): void {
  writeFileSync(path.join(folder, TESTIMONY), toJson(testimony));
}

export function readEvidence(folder: string): Evidence {
  const files = readdirSync(folder).filter((file) => file.endsWith(HISTORY));
  return {
    ...(fromJson(readFileSync(path.join(folder, TESTIMONY), 'utf8')) as Testimony),
    histories: files.map((file) => readHistory(path.basename(file, HISTORY), path.join(folder, file))),
  };
}
