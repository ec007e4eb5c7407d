/**
 * Makes programs of the snippets of a page.
 *
 * A snippet is a block of code, or a `holdfast` command in the text. It is named by the heading or the bold words before it. Its surrounding
 * is the file of that name: it supplies what the snippet takes as given, has a line "The snippet." where the snippet goes, and asserts what came
 * of it.
 */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

export interface Snippet {
  /** `take-a-lock.ts` */
  readonly file: string;
  /** Where it begins in the page. */
  readonly line: number;
  readonly code: string;
}

const BLOCK = /^```(\w+)\n([^]*?)\n```$/;
const HEADING = /^#+ (.+)$|^\*\*(.+?)\*\*/;
const COMMAND = /`(holdfast [^`\n]+)`/;
const PARTS = new RegExp([BLOCK, HEADING, COMMAND].map(({ source }) => source).join('|'), 'gm');

/** What is on the page, from top to bottom. */
export function snippetsOf(page: string): readonly Snippet[] {
  const snippets: Snippet[] = [];
  let topic = '';
  for (const part of page.matchAll(PARTS)) {
    const line = page.slice(0, part.index).split('\n').length;
    const [, language, block, heading, bold, command] = part;
    if (block !== undefined) snippets.push({ file: `${topic}.${language}`, line: line + 1, code: block });
    else if (command !== undefined) snippets.push({ file: `${topic}.sh`, line, code: command });
    else topic = nameOf(heading ?? bold ?? '');
  }
  return snippets;
}

/**
 * Each snippet in its surrounding of this folder. Throws an Error that names the snippets without a surrounding, and the surroundings without a
 * snippet.
 */
export async function programsOf(snippets: readonly Snippet[], folder: string): Promise<readonly Snippet[]> {
  const surroundings = await readdir(folder);
  const problems: string[] = [];
  const files = new Set<string>();
  for (const { file, line } of snippets) {
    if (!surroundings.includes(file)) problems.push(`line ${line} has no ${file}`);
    if (files.has(file)) problems.push(`line ${line} is a second one of ${file}`);
    files.add(file);
  }
  for (const file of surroundings) if (!files.has(file)) problems.push(`${file} has no snippet`);
  if (problems.length > 0) {
    throw new Error(
      `Expected a surrounding in ${folder} for each snippet, and a snippet for each: ${problems.join(', ')}`,
    );
  }
  return Promise.all(
    snippets.map(async (snippet) => ({
      ...snippet,
      code: surrounded(snippet, await readFile(path.join(folder, snippet.file), 'utf8')),
    })),
  );
}

function surrounded({ file, line, code }: Snippet, surrounding: string): string {
  const [before, comment, after, ...more] = surrounding.split(/^ *(\/\/|#) The snippet\.$/m);
  if (after === undefined || more.length > 0) throw new Error(`Expected one line "The snippet." in ${file}`);
  return `${before}${comment} From line ${line} of the page.\n${code}${after}`;
}

/** `take-a-lock` for "Take a lock." */
function nameOf(words: string): string {
  return words.toLowerCase().replace(/\W+$/, '').replaceAll(/\W+/g, '-');
}
