import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { cacheRoot, cachedFolder, ProvisionError } from '../../integration/provision/cache-folder.ts';
import { unpackDebianPackages } from '../../integration/provision/debian-packages.ts';

const run = promisify(execFile);

/** What ZooKeeper's server and Curator need to run, and no more: Debian's packages depend on much else. */
const PACKAGES = [
  ...['libcurator-client-java', 'libcurator-framework-java', 'libcurator-recipes-java', 'libzookeeper-java'],
  ...['libnetty-java', 'libguava-java', 'libslf4j-java', 'libdropwizard-metrics-java', 'libsnappy-java'],
];

const JARS = [
  ...['curator-client', 'curator-framework', 'curator-recipes', 'zookeeper', 'zookeeper-jute'],
  ...['netty-buffer', 'netty-codec', 'netty-common', 'netty-handler', 'netty-resolver', 'netty-transport'],
  ...['netty-transport-native-epoll', 'netty-transport-native-unix-common'],
  ...['guava', 'slf4j-api', 'slf4j-nop', 'metrics-core', 'snappy-java'],
];

/** ZooKeeper's server, and the program in bench/peers/java. */
export interface ProvidedCurator {
  readonly java: string;
  readonly classPath: string;
}

/** Unpacks Debian's packages into `.cache/bench` and compiles against them. Java itself has to be there. */
export async function provideCurator(): Promise<ProvidedCurator> {
  const source = path.join(path.dirname(cacheRoot), 'bench', 'peers', 'java', 'CuratorPeer.java');
  try {
    const libraries = await cachedFolder(path.join('bench', 'zookeeper'), (staging) =>
      unpackDebianPackages(staging, PACKAGES),
    );
    const jars = JARS.map((jar) => path.join(libraries, 'usr', 'share', 'java', `${jar}.jar`));
    const missing = jars.find((jar) => !existsSync(jar));
    if (missing !== undefined) throw new Error(`${missing} is not in the packages`);
    const version = createHash('sha256')
      .update(await readFile(source))
      .digest('hex')
      .slice(0, 12);
    const classes = await cachedFolder(path.join('bench', `java-${version}`), async (staging) => {
      await run('javac', ['-d', staging, '-cp', jars.join(path.delimiter), source], { timeout: 120_000 });
    });
    return { java: 'java', classPath: [classes, ...jars].join(path.delimiter) };
  } catch (error) {
    throw new ProvisionError(
      'Install a JDK (Debian: default-jdk-headless); on Debian the rest is fetched, with apt-get and its lists.',
      { cause: error },
    );
  }
}
