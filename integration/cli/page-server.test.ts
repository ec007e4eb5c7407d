import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { Audience } from '../../lib/cli/ui/audience.ts';
import { PageServer } from '../../lib/cli/ui/page-server.ts';
import type { Pulse, View } from '../../lib/cli/ui/view.ts';

const pulse: Pulse = { nowMs: 1, health: 'connected', members: [] };
const options = { host: '127.0.0.1', port: 0, onViewer: () => {} };

async function ask(url: string, method = 'GET'): Promise<IncomingMessage> {
  const asking = request(url, { method });
  asking.end();
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  return response;
}

/** `undefined`: the connection was not let in. */
async function statusOf(url: string): Promise<number | undefined> {
  return (await ask(url).catch(() => undefined))?.statusCode;
}

async function textOf(response: IncomingMessage): Promise<string> {
  return (await response.setEncoding('utf8').toArray()).join('');
}

test('the page and all that it loads are had with the secret, and nothing without it', async (t) => {
  await using page = await PageServer.start(new Audience(), options);
  const html = await textOf(await ask(page.url));
  for (const [, name = ''] of html.matchAll(/(?:href|src)="([^"#]+)"/g)) {
    const response = await ask(new URL(name, page.url).href);
    t.is(response.statusCode, 200, name);
    t.true((await textOf(response)).length > 0);
  }
  const { origin } = new URL(page.url);
  const wrong = page.url.replace(/.\/$/, (end) => (end === 'A/' ? 'B/' : 'A/'));
  for (const url of [origin, `${origin}/main.js`, `${origin}/events`, wrong, `${wrong}events`, page.url.slice(0, -1)]) {
    const response = await ask(url);
    t.is(response.statusCode, 404, url);
    t.false((await textOf(response)).includes('<html'));
  }
});

test('nothing but reading is answered, and no path leads out of the page', async (t) => {
  await using page = await PageServer.start(new Audience(), options);
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    t.is((await ask(page.url, method)).statusCode, 405, method);
  }
  const head = await ask(page.url, 'HEAD');
  t.is(head.statusCode, 200);
  t.is(await textOf(head), '');
  for (const path of [
    '..%2f..%2fpackage.json',
    '%2e%2e/main.js',
    'tsconfig.json',
    'main.d.ts',
    'events/x',
    'x/index.html',
  ]) {
    t.is((await ask(page.url + path)).statusCode, 404, path);
  }
});

test('a browser is told to load from here alone, to keep nothing and to tell nobody', async (t) => {
  await using page = await PageServer.start(new Audience(), options);
  const { headers } = await ask(page.url);
  t.regex(String(headers['content-security-policy']), /default-src 'none'.*frame-ancestors 'none'/);
  t.false(String(headers['content-security-policy']).includes('unsafe'));
  t.like(headers, {
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
});

test('who watches is told a view when it has changed, and a pulse each time; who does not keep up, the newest', async (t) => {
  const audience = new Audience();
  await using page = await PageServer.start(audience, options);
  const watching = await ask(`${page.url}events`);
  t.is(watching.headers['content-type'], 'text/event-stream');
  let heard = '';
  watching.setEncoding('utf8').on('data', (text: string) => (heard += text));
  const view = (namespace: string): View => ({ namespace }) as View;
  audience.tell(view('a'), pulse);
  audience.tell(view('a'), pulse);
  audience.tell(view('b'), pulse);
  const pulses = () => heard.match(/event: pulse/g)?.length ?? 0;
  while (pulses() < 3) await sleep(5);
  t.true(heard.includes('"b"'));
  t.is(heard.match(/event: view/g)?.length, 2);
  t.is(pulses(), 3);

  watching.pause();
  for (let count = 0; count < 200; count += 1) audience.tell(view(`${count}`.padStart(100_000, ' ')), pulse);
  watching.resume();
  audience.tell(view('last'), pulse);
  while (!heard.includes('"last"')) {
    audience.tell(view('last'), pulse);
    await sleep(5);
  }
  t.true((heard.match(/event: view/g)?.length ?? 0) < 200, 'what a slow browser missed is not kept for it');
});

test('a view becomes text once, however often it is told, and to however many', async (t) => {
  const audience = new Audience();
  await using page = await PageServer.start(audience, options);
  await Promise.all([ask(`${page.url}events`), ask(`${page.url}events`)]);
  let made = 0;
  const view = { toJSON: () => (made += 1) } as unknown as View;
  for (let count = 0; count < 3; count += 1) audience.tell(view, pulse);
  t.is(made, 1);
});

test('connections without the secret are bounded, and those that ask for nothing are ended', async (t) => {
  await using page = await PageServer.start(new Audience(), options);
  const watching = await ask(`${page.url}events`);
  const port = Number(new URL(page.url).port);
  const ended = { count: 0 };
  const sockets = Array.from({ length: 300 }, () =>
    connect(port, '127.0.0.1')
      .resume()
      .on('error', () => {})
      .on('close', () => (ended.count += 1)),
  );
  while (ended.count < 300 - 255) await sleep(5);
  t.is(await statusOf(page.url), undefined, 'it is full');
  await Promise.all(sockets.filter(({ closed }) => !closed).map((socket) => once(socket, 'close')));
  t.is(await statusOf(page.url), 200);
  t.false(watching.closed, 'who watches stays');
});

test('there is room for so many, and a place that was left is had again', async (t) => {
  const audience = new Audience();
  await using page = await PageServer.start(audience, options);
  const watching = await Promise.all(Array.from({ length: 32 }, () => ask(`${page.url}events`)));
  t.is((await ask(`${page.url}events`)).statusCode, 503);
  watching[0]?.destroy();
  while (audience.size === 32) await sleep(5);
  t.is((await ask(`${page.url}events`)).statusCode, 200);
});
