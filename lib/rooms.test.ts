import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';

// The rooms of lib/ and who may know whom, read off the sources themselves. A room is a folder of lib/, or a file beside
// the folders together with those whose names begin with its own (`coordinator.ts`, `coordinator-options.ts`).

/** From top to bottom. A room imports what stands below it; rooms of one level never import each other. */
const levels: readonly (readonly string[])[] = [
  ['index'],
  ['cli'],
  ['coordinator'],
  ['schedule', 'partition', 'survey'],
  ['lock', 'election', 'once', 'config', 'cache', 'registry'],
  ['queue', 'replica'],
  ['session'],
  ['health'],
  ['store'],
  ['resilience'],
  ['sequence', 'causality'],
  ['runtime'],
  ['arguments'],
  ['errors'],
];

/** Entry points of their own beside the levels, and all that each may import. Nothing imports them but {@link visitors}. */
const entryPoints: Readonly<Record<string, readonly string[]>> = {
  guards: ['queue/token.ts', 'arguments.ts', 'errors.ts', 'runtime/'],
  telemetry: ['arguments.ts', 'errors.ts', 'runtime/'],
  /* Tests of everything together, in no package. */
  simulation: [''],
  testing: ['coordinator.ts', 'coordinator-options.ts', 'store/', 'sequence/', 'runtime/', 'arguments.ts', 'errors.ts'],
};

/** Who may import which places of an entry point: `holdfast dev` and `holdfast demo` are what needs no installation, from the command line. */
const visitors: Readonly<Record<string, readonly string[]>> = {
  cli: ['testing/embedded/', 'testing/fault-proxy.ts', 'guards/http.ts', 'guards/memory.ts'],
};

/** Packages that only some places may import, since they bring a clock, chance, I/O or types of their own. */
const packageHomes: Readonly<Record<string, readonly string[]>> = {
  etcd3: ['store/etcd'],
  '@grpc/grpc-js': ['store/etcd', 'testing/embedded'],
  cockatiel: ['store/etcd', 'resilience'],
  croner: ['schedule'],
  winston: ['runtime'],
  'node:timers': ['runtime', 'testing'],
  'node:timers/promises': ['runtime', 'testing'],
  'node:perf_hooks': ['runtime', 'testing'],
};

/** Where the world outside may be asked for time and chance. What runs in a browser is in a world of its own. */
const worldHomes: readonly string[] = ['runtime', 'testing', 'cli/ui/page'];

/** Ways to ask it. `Date` as a type, and of an instant that is given, is no question. */
const worldQuestions: readonly RegExp[] = [
  /\bDate\s*\.\s*now\b/,
  /\bnew\s+Date\s*(?:\(\s*\)|(?!\s*\())/,
  /(?<!\bnew\s+)(?<![\w$.])Date\s*\(/,
  /(?<![\w$#.])(?:set|clear)(?:Timeout|Interval|Immediate)\b/,
  /\bglobalThis\s*\.\s*(?:set|clear)(?:Timeout|Interval|Immediate)\b/,
  /(?<![\w$#.])performance\s*\.\s*\w/,
  /\bMath\s*\.\s*random\b/,
  /\bprocess\s*\.\s*hrtime\b/,
  /\bAbortSignal\s*\.\s*timeout\b/,
];

const library = 'lib';

test('imports point downward, and features do not import each other', (t) => {
  t.deepEqual(everySource(misdirectedImports), []);
});

test('etcd, resilience and logging packages are imported in their homes only', (t) => {
  t.deepEqual(everySource(strayPackages), []);
});

test('time and chance come from the runtime only', (t) => {
  t.deepEqual(everySource(strayQuestions), []);
});

const verdicts: readonly (readonly [file: string, source: string, problems: number])[] = [
  ['lock/fenced-lock.ts', "import { Token } from '../queue/token.ts';", 0],
  ['lock/fenced-lock.ts', "import { Held } from './held-lock.ts';", 0],
  ['lock/fenced-lock.ts', "import {\n  Election,\n} from '../election/election.ts';", 1],
  ['queue/wait-queue.ts', "import { Lock } from '../lock/fenced-lock.ts';", 1],
  ['queue/wait-queue.ts', "export { Lock } from '../lock/fenced-lock.ts';", 1],
  ['queue/wait-queue.ts', "const { Lock } = await import('../lock/fenced-lock.ts');", 1],
  ['queue/wait-queue.ts', "// import { Lock } from '../lock/fenced-lock.ts';", 0],
  ['guards/memory.ts', "import { Token } from '../queue/token.ts';", 0],
  ['guards/memory.ts', "import { WaitQueue } from '../queue/wait-queue.ts';", 1],
  ['lock/fenced-lock.ts', "import { memoryGuard } from '../guards/memory.ts';", 1],
  ['cli/dev.ts', "import { EmbeddedEtcd } from '../testing/embedded/embedded-etcd.ts';", 0],
  ['cli/dev.ts', "import { TestWorld } from '../testing/test-world.ts';", 1],
  ['coordinator.ts', "import { EmbeddedEtcd } from './testing/embedded/embedded-etcd.ts';", 1],
  ['store/memory/memory-store.ts', "import { type Clock } from '../../runtime/clock.ts';", 0],
  ['coordinator.ts', "import { complete } from './coordinator-options.ts';", 0],
  ['attic/new-room.ts', '', 1],
  ['store/etcd/etcd-store.ts', "import { Etcd3 } from 'etcd3';", 0],
  ['store/etcd.ts', "import { Etcd3 } from 'etcd3';", 0],
  ['store/store.ts', "import { type Etcd3 } from 'etcd3';", 1],
  ['store/store.ts', "import { type KeyValue } from 'etcd3/lib/rpc.js';", 1],
  ['session/session.ts', "import * as timers from 'node:timers/promises';", 1],
  ['session/session.ts', "export const spoken = 'etcd3';", 0],
  ['session/session.ts', 'const at = Date.now();', 1],
  ['session/session.ts', 'const at = new Date();', 1],
  ['schedule/tick.ts', 'const at: Date = new Date(scheduledForMs);', 0],
  ['session/session.ts', 'const timer = setTimeout(() => renew(), 5);', 1],
  ['session/session.ts', 'const timer = clock.setTimeout(() => renew(), 5);', 0],
  ['session/session.ts', "/* Not Date.now() */ const why = 'no Math.random()'; // performance.now()", 0],
  ['session/session.ts', 'const why = `at ${Date.now()}`;', 1],
  ['session/session.ts', 'const why = `no Date.now() at ${`${clock.now()}`} // either`;', 0],
  ['session/session.ts', 'const half = Math.random();', 1],
  ['session/session.ts', 'const signal = AbortSignal.timeout(5);', 1],
  ['runtime/clock.ts', 'const at = performance.now();', 0],
];
for (const [file, source, problems] of verdicts) {
  test(`the reading above finds ${problems} wrong in ${file} with ${JSON.stringify(source)}`, (t) => {
    const found = [misdirectedImports, strayPackages, strayQuestions].flatMap((judge) => judge(file, source));
    t.is(found.length, problems, found.join('\n'));
  });
}

type Judge = (file: string, source: string) => string[];

function everySource(judge: Judge): string[] {
  return readdirSync(library, { recursive: true, encoding: 'utf8' })
    .map((file) => file.split(path.sep).join('/'))
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .flatMap((file) => judge(file, readFileSync(path.join(library, file), 'utf8')));
}

function misdirectedImports(file: string, source: string): string[] {
  const from = roomOf(file);
  if (from === undefined) return [`lib/${file} is in a room that nobody has given a place above or below the others`];
  const targets = importsOf(source)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => path.posix.join(path.posix.dirname(file), specifier));
  return targets.filter((target) => !mayImport(from, target)).map((target) => `lib/${file} imports lib/${target}`);
}

function mayImport(from: string, target: string): boolean {
  const to = roomOf(target);
  if (to === from || visitors[from]?.some((place) => target.startsWith(place)) === true) return true;
  const allowed = entryPoints[from];
  if (allowed !== undefined) return allowed.some((place) => target === place || target.startsWith(place));
  return to !== undefined && levelOf(from) < levelOf(to);
}

function strayPackages(file: string, source: string): string[] {
  return importsOf(source).flatMap((specifier) => {
    const name = Object.keys(packageHomes).find((known) => specifier === known || specifier.startsWith(`${known}/`));
    const homes = name === undefined ? undefined : packageHomes[name];
    return homes === undefined || isIn(file, homes) ? [] : [`lib/${file} imports ${specifier}`];
  });
}

function strayQuestions(file: string, source: string): string[] {
  if (isIn(file, worldHomes)) return [];
  const { code } = read(source);
  return worldQuestions.flatMap((question) => {
    const found = question.exec(code)?.[0];
    return found === undefined ? [] : [`lib/${file} asks the world outside: ${found}`];
  });
}

/** Whether a file is one of these places, or in one of them: `store/etcd` is `store/etcd.ts` and `store/etcd/`. */
function isIn(file: string, places: readonly string[]): boolean {
  return places.some((place) => file === `${place}.ts` || file.startsWith(`${place}/`));
}

function roomOf(file: string): string | undefined {
  const [first = '', ...rest] = file.split('/');
  const rooms = [...levels.flat(), ...Object.keys(entryPoints)];
  if (rest.length > 0) return rooms.find((room) => room === first);
  return rooms.find((room) => first === `${room}.ts` || first.startsWith(`${room}-`));
}

function levelOf(room: string): number {
  return levels.findIndex((level) => level.includes(room));
}

function importsOf(source: string): string[] {
  const statements =
    /^\s*(?:import\s*|(?:import|export)\b[^;'"=]*\bfrom\s*)['"]([^'"\n]+)['"]|\bimport\s*\(\s*['"]([^'"\n]+)['"]/gm;
  return [...read(source).uncommented.matchAll(statements)].flatMap(([, named, called]) => named ?? called ?? []);
}

/** A source without its comments, and without its texts as well. */
function read(source: string): { readonly uncommented: string; readonly code: string } {
  let uncommented = '';
  let code = '';
  // One entry for every template that is open: how many braces are open inside its current `${`.
  const templates: number[] = [];
  const take = (kind: 'code' | 'text' | 'comment', matched: string): number => {
    uncommented += kind === 'comment' ? ' ' : matched;
    code += kind === 'code' ? matched : ' ';
    return matched.length;
  };
  for (let at = 0; at < source.length;) {
    const open = templates.at(-1);
    const comment = matchAt(source, at, /\/\/[^\n]*|\/\*[\s\S]*?\*\//y);
    const text = matchAt(source, at, /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/y);
    if (comment !== '') at += take('comment', comment);
    else if (text !== '') at += take('text', text);
    else if (source[at] === '`' || (source[at] === '}' && open === 0)) {
      // A template begins, or goes on after `${…}`. Its text ends at the next `${` or at its end.
      if (source[at] === '}') templates.pop();
      at += take('code', source.slice(at, at + 1));
      at += take('text', matchAt(source, at, /(?:\\[\s\S]|\$(?!\{)|[^\\$`])*/y));
      if (source.startsWith('${', at)) templates.push(0);
      at += take('code', matchAt(source, at, /\$\{|`/y));
    } else {
      if (open !== undefined && source[at] === '{') templates[templates.length - 1] = open + 1;
      if (open !== undefined && source[at] === '}') templates[templates.length - 1] = open - 1;
      at += take('code', matchAt(source, at, /[\w$]+|[\s\S]/y));
    }
  }
  return { uncommented, code };
}

function matchAt(source: string, at: number, pattern: RegExp): string {
  pattern.lastIndex = at;
  return pattern.exec(source)?.[0] ?? '';
}
