import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { cachedFolder, ProvisionError } from './cache-folder.ts';
import { libraryFolders, unpackDebianPackages } from './debian-packages.ts';

const run = promisify(execFile);

/** A real redis-server and the environment to start it in. */
export interface ProvidedRedis {
  readonly redisServer: string;
  readonly env: Readonly<Record<string, string>>;
  readonly version: string;
}

/** Finds redis-server on PATH, or unpacks Debian's into `.cache/redis`, with the libraries that the machine lacks. */
export async function provideRedis(): Promise<ProvidedRedis> {
  return (await inspect('redis-server', {})) ?? (await fetch());
}

async function fetch(): Promise<ProvidedRedis> {
  let folder: string;
  try {
    folder = await cachedFolder(path.join('redis', 'default'), async (staging) => {
      await unpackDebianPackages(staging, ['redis-server', 'redis-tools'], { withDependencies: true });
    });
  } catch (error) {
    throw unavailable(error instanceof Error ? error.message : String(error), error);
  }
  const env = { LD_LIBRARY_PATH: (await libraryFolders(folder)).join(path.delimiter) };
  const provided = await inspect(path.join(folder, 'usr', 'bin', 'redis-server'), env);
  if (provided === undefined) throw unavailable('The redis-server that was fetched does not run here.');
  return provided;
}

async function inspect(redisServer: string, env: Record<string, string>): Promise<ProvidedRedis | undefined> {
  try {
    const { stdout } = await run(redisServer, ['--version'], { env: { ...process.env, ...env }, timeout: 10_000 });
    return { redisServer, env, version: /v=(\S+)/.exec(stdout)?.[1] ?? 'unknown' };
  } catch {
    return undefined;
  }
}

function unavailable(reason: string, cause?: unknown): ProvisionError {
  return new ProvisionError(
    `No Redis for tests: ${reason.replace(/\.?$/, '.')} Install redis-server on PATH (Debian: redis-server).`,
    {
      cause,
    },
  );
}
