import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor';
import { ApiPackage } from '@microsoft/api-extractor-model';
import { Page } from './reference/page.ts';
import { referenceOf } from './reference/reference.ts';

// The public face of every subpath of package.json: its signatures as a text in docs/api, so that a change of them shows in review,
// and with its docstrings as a page in docs/reference, for users. Without --update a difference fails; so does a type of another
// package in a public signature, since its users would then depend on what we depend on.

interface PackageJson {
  readonly exports: Readonly<Record<string, string | { readonly types: string }>>;
}

const { values: options } = parseArgs({ options: { update: { type: 'boolean', default: false } } });
const root = process.cwd();
const reportFolder = path.join(root, 'docs', 'api');
const referenceFolder = path.join(root, 'docs', 'reference');
const temporaryFolder = path.join(root, 'dist', 'api-report');
const packageJson = JSON.parse(readFileSync('package.json', 'utf8')) as PackageJson;

const problems: string[] = [];
const expectedReports = new Set<string>();
const pages: Page[] = [];

mkdirSync(reportFolder, { recursive: true });
for (const [subpath, target] of Object.entries(packageJson.exports)) {
  if (typeof target === 'string') continue;
  const name = subpath === '.' ? 'holdfast' : subpath.slice(2).replaceAll('/', '-');
  expectedReports.add(`${name}.api.md`);
  check(subpath, path.join(root, target.types), name);
}
for (const report of readdirSync(reportFolder).filter((name) => name.endsWith('.api.md'))) {
  if (expectedReports.has(report)) continue;
  if (options.update) rmSync(path.join(reportFolder, report));
  else problems.push(`docs/api/${report} belongs to no subpath of package.json; run "npm run api:update".`);
}
if (problems.length === 0 || options.update) await checkReference();

for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);

function check(subpath: string, entry: string, name: string): void {
  const report = `${name}.api.md`;
  if (!existsSync(entry)) {
    if (existsSync(path.join(reportFolder, report))) problems.push(`${subpath}: ${entry} is gone, but not its report.`);
    else console.log(`${subpath}: not written yet.`);
    return;
  }
  mkdirSync(temporaryFolder, { recursive: true });
  const result = Extractor.invoke(configure(entry, name), {
    localBuild: false,
    messageCallback: (message) => {
      const isError = message.logLevel === ExtractorLogLevel.Error && !isOfMain(message.text);
      if (isError) problems.push(`${subpath}: ${message.text}`);
      message.handled = true;
    },
  });
  const written = path.join(temporaryFolder, report);
  for (const foreign of foreignImports(readFileSync(written, 'utf8'))) {
    problems.push(`${subpath}: a public signature names a type of ${foreign}.`);
  }
  if (result.apiReportChanged && options.update) {
    copyFileSync(written, path.join(reportFolder, report));
    console.log(`${subpath}: wrote docs/api/${report}.`);
  } else if (result.apiReportChanged) {
    problems.push(
      `${subpath}: the API differs from docs/api/${report}; run "npm run api:update" and review the change.`,
    );
  } else {
    console.log(`${subpath}: as in docs/api/${report}.`);
  }
  pages.push(new Page(`holdfast${subpath.slice(1)}`, `${name}.md`, ApiPackage.loadFromJsonFile(modelFile(name))));
}

async function checkReference(): Promise<void> {
  const texts = await referenceOf(pages);
  mkdirSync(referenceFolder, { recursive: true });
  for (const file of new Set([...texts.keys(), ...readdirSync(referenceFolder)])) {
    const written = path.join(referenceFolder, file);
    const text = texts.get(file);
    if (text === (existsSync(written) ? readFileSync(written, 'utf8') : undefined)) continue;
    if (!options.update) {
      problems.push(
        `docs/reference/${file} is not what the sources say; run "npm run api:update" and review the change.`,
      );
    } else if (text === undefined) {
      rmSync(written);
    } else {
      writeFileSync(written, text);
      console.log(`Wrote docs/reference/${file}.`);
    }
  }
}

function modelFile(name: string): string {
  return path.join(temporaryFolder, `${name}.api.json`);
}

/** A symbol that the main entry point exports need not be exported by another one that names it. */
function isOfMain(message: string): boolean {
  const symbol = /^The symbol "(\w+)" needs to be exported/.exec(message)?.[1];
  if (symbol === undefined) return false;
  const main = readFileSync(path.join(reportFolder, 'holdfast.api.md'), 'utf8');
  return new RegExp(`^export .*\\b${symbol}\\b`, 'm').test(main);
}

function configure(entry: string, name: string): ExtractorConfig {
  return ExtractorConfig.prepare({
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: entry,
      compiler: {
        // api-extractor brings a compiler of its own, which reads declarations only.
        overrideTsconfig: {
          compilerOptions: {
            target: 'es2023',
            lib: ['es2023', 'esnext.disposable'],
            module: 'nodenext',
            moduleResolution: 'nodenext',
            types: ['node'],
            strict: true,
            skipLibCheck: true,
          },
          files: [entry],
        },
      },
      apiReport: {
        enabled: true,
        reportFileName: `${name}.api.md`,
        reportFolder,
        reportTempFolder: temporaryFolder,
      },
      docModel: { enabled: true, apiJsonFilePath: modelFile(name) },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      newlineKind: 'lf',
      messages: {
        compilerMessageReporting: { default: { logLevel: ExtractorLogLevel.Error } },
        extractorMessageReporting: {
          default: { logLevel: ExtractorLogLevel.Error },
          // Everything exported is public here; there are no release tags.
          'ae-missing-release-tag': { logLevel: ExtractorLogLevel.None },
          'ae-undocumented': { logLevel: ExtractorLogLevel.None },
          // {@link} to a member that is ambiguous for api-extractor still works in editors.
          'ae-unresolved-link': { logLevel: ExtractorLogLevel.None },
        },
        tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
      },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: path.join(root, 'package.json'),
  });
}

function foreignImports(report: string): string[] {
  return [...report.matchAll(/^import .* from '([^']+)';$/gm)]
    .map(([, source]) => source ?? '')
    .filter((source) => !source.startsWith('node:') && !source.startsWith('.'));
}
