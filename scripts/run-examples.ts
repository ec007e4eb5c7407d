import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EtcdServer } from '../integration/servers/etcd-server.ts';
import { PostgresServer } from '../integration/servers/postgres-server.ts';

// Runs every example to its end against one real etcd and one PostgreSQL, so that what the documentation shows keeps
// working: each `examples/<name>.ts`, and `examples/<name>/main.ts` where an example has a folder. They find both as a
// user's program would, through HOLDFAST_ENDPOINTS and DATABASE_URL. One that runs until it is told to stop says so in a
// line with SIGTERM, and is sent it then. Each must end by itself, with status 0, and hold nothing when it has ended.

const timeoutMs = 120_000;
const sigtermAfterMs = 500;
/** A release that is slow to be answered is not waited for. Less than a lease lasts: what was left to expire is still there. */
const releasedWithinMs = 5_000;
const sources = 'examples';

const examples = existsSync(sources) ? readdirSync(sources, { withFileTypes: true }).flatMap(mainFile) : [];
if (examples.length === 0) {
  console.log('There are no examples yet.');
} else {
  await using etcd = await EtcdServer.start();
  await using postgres = await PostgresServer.start();
  const env = { HOLDFAST_ENDPOINTS: etcd.endpoint, DATABASE_URL: postgres.connectionString };
  const failed: string[] = [];
  for (const example of examples) {
    console.log(`\n== ${example}`);
    if (!(await succeeds(example, env)) || !(await holdsNothing(etcd))) failed.push(example);
  }
  console.log(`\n${examples.length - failed.length} of ${examples.length} examples ended well.`);
  if (failed.length > 0) {
    console.error(`Failed: ${failed.join(', ')}`);
    process.exitCode = 1;
  }
}

function mainFile(entry: { readonly name: string; isDirectory(): boolean }): string[] {
  if (!entry.isDirectory()) return entry.name.endsWith('.ts') ? [path.join(sources, entry.name)] : [];
  const main = path.join(sources, entry.name, 'main.ts');
  return existsSync(main) ? [main] : [];
}

async function succeeds(example: string, env: Readonly<Record<string, string>>): Promise<boolean> {
  const compiled = path.join('dist', example.replace(/\.ts$/, '.js'));
  const child = spawn(process.execPath, ['--enable-source-maps', compiled], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  let told = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    process.stdout.write(text);
    if (told || !text.includes('SIGTERM')) return;
    told = true;
    setTimeout(() => child.kill('SIGTERM'), sigtermAfterMs);
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  if (signal !== null) console.error(`${example} was ended by ${signal}; it may take ${timeoutMs} ms.`);
  return code === 0;
}

/** What is written to stay, such as config, may stay. A key of a session or of what it holds would keep others waiting. */
async function holdsNothing(etcd: EtcdServer): Promise<boolean> {
  const deadline = performance.now() + releasedWithinMs;
  for (;;) {
    const keys = (await etcd.etcdctl(['get', '', '--from-key', '--keys-only'])).split('\n');
    const held = keys.filter((key) =>
      /\/(session|lock|election|schedule|semaphore|rwlock|registry|partition|partition-member|once-turn)\//.test(key),
    );
    if (held.length === 0) return true;
    if (performance.now() > deadline) {
      console.error(`Expected nothing to be held after an example, got ${held.join(', ')}`);
      return false;
    }
    await sleep(100);
  }
}
