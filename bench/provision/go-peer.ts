import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { cacheRoot, cachedFolder, ProvisionError } from '../../integration/provision/cache-folder.ts';

const run = promisify(execFile);

/** Where Debian puts the sources of libraries, as a GOPATH. */
const LIBRARIES = '/usr/share/gocode';

const BUILD_MS = 300_000;

/**
 * Builds the program in bench/peers/go with the `go` that is on PATH and the libraries that are installed; nothing is downloaded. A toolchain is
 * too large to fetch for a benchmark. Resolves to the program's path.
 */
export async function provideGoPeer(): Promise<string> {
  const source = path.join(path.dirname(cacheRoot), 'bench', 'peers', 'go');
  const hash = createHash('sha256').update(await readFile(path.join(source, 'main.go')));
  try {
    hash.update((await run('go', ['version'])).stdout);
    const folder = await cachedFolder(path.join('bench', `go-${hash.digest('hex').slice(0, 12)}`), async (staging) => {
      const env = {
        ...process.env,
        ...{ GO111MODULE: 'off', GOFLAGS: '', GOPROXY: 'off' },
        ...{ GOPATH: LIBRARIES, GOCACHE: path.join(cacheRoot, 'bench', 'go-build') },
      };
      await run('go', ['build', '-o', path.join(staging, 'peer'), '.'], { cwd: source, env, timeout: BUILD_MS });
    });
    return path.join(folder, 'peer');
  } catch (error) {
    throw new ProvisionError('Install Go and its etcd client (Debian: golang-go golang-etcd-server-dev).', {
      cause: error,
    });
  }
}
