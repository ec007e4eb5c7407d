import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { cachedFolder, ProvisionError } from './cache-folder.ts';
import { libraryFolders, unpackDebianPackages } from './debian-packages.ts';

const run = promisify(execFile);

/** A real strace and the environment to start it in. */
export interface ProvidedStrace {
  readonly strace: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Finds strace on PATH, or unpacks Debian's into `.cache/strace`. */
export async function provideStrace(): Promise<ProvidedStrace> {
  const found: ProvidedStrace = { strace: 'strace', env: {} };
  if (await runs(found)) return found;
  const folder = await cachedFolder(path.join('strace', 'default'), async (staging) => {
    await unpackDebianPackages(staging, ['strace'], { withDependencies: true });
  });
  const fetched: ProvidedStrace = {
    strace: path.join(folder, 'usr', 'bin', 'strace'),
    env: { LD_LIBRARY_PATH: (await libraryFolders(folder)).join(path.delimiter) },
  };
  if (!(await runs(fetched))) throw new ProvisionError('The strace that was fetched does not run here.');
  return fetched;
}

async function runs({ strace, env }: ProvidedStrace): Promise<boolean> {
  return await run(strace, ['--version'], { env: { ...process.env, ...env }, timeout: 10_000 }).then(
    () => true,
    () => false,
  );
}
