import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { chromium, type Browser } from 'playwright-core';

const run = promisify(execFile);

/** As Debian, Chrome's own packages and other distributions call it. */
const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** Without a sandbox of its own, since tests may run as root, which Chromium refuses otherwise; and without calls to its maker. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A real Chromium: HOLDFAST_CHROMIUM, or from PATH. Rejects with what to do if there is none. */
export async function startBrowser(): Promise<Browser> {
  return await chromium.launch({ executablePath: await executable(), args: ARGUMENTS });
}

async function executable(): Promise<string> {
  const given = process.env['HOLDFAST_CHROMIUM'];
  if (given !== undefined && given !== '') return given;
  for (const name of NAMES) {
    const found = await run('sh', ['-c', `command -v ${name}`]).catch(() => undefined);
    if (found !== undefined) return found.stdout.trim();
  }
  throw new Error(
    `No Chromium was found: neither HOLDFAST_CHROMIUM nor ${NAMES.join(', ')} on PATH. On Debian: apt-get install chromium`,
  );
}
