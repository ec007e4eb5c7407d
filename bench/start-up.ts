/** What it costs to have the package at all: to import it in a fresh process, to download it, and what comes with it. */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { cacheRoot } from '../integration/provision/cache-folder.ts';
import { turns } from './crew.ts';
import { showSpread, type Results, type Spread } from './findings.ts';
import { spreadOf } from './rounds.ts';

const run = promisify(execFile);

export interface StartUpOptions {
  readonly rounds: number;
}

const MODULES = ['holdfast', 'etcd3', 'winston', 'node:http2'] as const;

type Module = (typeof MODULES)[number];

const PAGE = 'lib/cli/ui/page';

interface LockedPackage {
  readonly dev?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
}

export async function startUp({ rounds }: StartUpOptions): Promise<Results> {
  const root = path.dirname(cacheRoot);
  /* Below the root, so that its dependencies are found. */
  const folder = await mkdtemp(path.join(cacheRoot, 'package-'));
  try {
    await build(root, folder);
    const times = new Map<Module, number[]>(MODULES.map((name) => [name, []]));
    for (const name of MODULES) await importTime(folder, name);
    for (const { who } of turns(MODULES, rounds)) times.get(who)?.push(await importTime(folder, who));
    const spread = (name: Module): Spread => spreadOf(times.get(name) ?? [], (ms) => ms);
    const ratios = (times.get('holdfast') ?? []).map((ms, round) => ms / (times.get('etcd3')?.[round] ?? Number.NaN));
    const { packed, unpacked, files } = await sizeOf(folder);
    const { ours, etcd3 } = await dependencies(root);
    return {
      findings: [
        {
          what: "cold `import 'holdfast'`: time, of `import 'etcd3'`",
          measured: spreadOf(ratios, (ratio) => ratio),
          target: { atMost: 1.1 },
        },
        { what: 'the package: packed, docs included', measured: packed / 1_024, unit: 'kB' },
        { what: `the package: unpacked, in ${files} files`, measured: unpacked / 1_024, unit: 'kB' },
        { what: `packages that come with it (npm etcd3 alone: ${etcd3})`, measured: ours },
      ],
      sheets: [
        {
          title: 'Import in a fresh process',
          head: ['', 'ms'],
          rows: MODULES.map((name) => [`\`import '${name}'\``, showSpread(spread(name))]),
        },
      ],
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The package as it would be published, and not the build with tests and benchmarks in it. */
async function build(root: string, folder: string): Promise<void> {
  const compiler = path.join(root, 'node_modules', '.bin', 'tsc');
  const out = ['--outDir', path.join(folder, 'dist')];
  await run(compiler, ['-p', 'tsconfig.build.json', ...out], { cwd: root });
  await run(compiler, ['-p', PAGE, ...out, '--tsBuildInfoFile', path.join(folder, 'page.tsbuildinfo')], { cwd: root });
  for (const place of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md', 'docs', PAGE]) {
    await cp(path.join(root, place), path.join(folder, place), { recursive: true });
  }
}

async function importTime(folder: string, name: Module): Promise<number> {
  const code = `const from = performance.now(); await import('${name}'); console.log(performance.now() - from); process.exit();`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code], { cwd: folder });
  return Number(stdout);
}

async function sizeOf(
  folder: string,
): Promise<{ readonly packed: number; readonly unpacked: number; readonly files: number }> {
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: folder });
  const [pack] = JSON.parse(stdout) as readonly {
    readonly size: number;
    readonly unpackedSize: number;
    readonly entryCount: number;
  }[];
  if (pack === undefined) throw new Error(`Expected npm pack to tell of one package, got ${stdout}`);
  return { packed: pack.size, unpacked: pack.unpackedSize, files: pack.entryCount };
}

/** Of all that the lock file names, what is installed with a package. */
async function dependencies(root: string): Promise<{ readonly ours: number; readonly etcd3: number }> {
  const { packages } = JSON.parse(await readFile(path.join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, LockedPackage>>;
  };
  const reached = (from: string): number => {
    const seen = new Set<string>();
    const visit = (place: string): void => {
      for (const name of Object.keys(packages[place]?.dependencies ?? {})) {
        const nested = `${place}/node_modules/${name}`;
        const found = packages[nested] === undefined ? `node_modules/${name}` : nested;
        if (packages[found] === undefined || seen.has(found)) continue;
        seen.add(found);
        visit(found);
      }
    };
    visit(from);
    return seen.size;
  };
  return { ours: reached(''), etcd3: reached('node_modules/etcd3') + 1 };
}
