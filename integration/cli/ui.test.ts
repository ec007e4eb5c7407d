import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { get, request } from 'node:http';
import path from 'node:path';
import test from 'ava';
import type { Browser, Page } from 'playwright-core';
import { FaultProxy } from '../../lib/testing/index.ts';
import { Clients } from '../lock/support/clients.ts';
import { until } from '../lock/support/until.ts';
import { environmentTo } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { startBrowser } from './browser.ts';
import { HoldfastProcess } from './holdfast-process.ts';

let browser: Browser;
test.before(async () => {
  browser = await startBrowser();
});
test.after.always(() => browser?.close());

/** `holdfast ui` on its way to etcd, and a browser that has opened it. */
async function open(
  endpoint: string,
  ...words: string[]
): Promise<
  { readonly holdfast: HoldfastProcess; readonly page: Page; readonly complaints: string[] } & AsyncDisposable
> {
  const holdfast = new HoldfastProcess(['ui', ...words], environmentTo(endpoint));
  await until('the address of the page', () => holdfast.out.includes('\n'));
  const context = await browser.newContext();
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(holdfast.out.trim());
  const dispose = async (): Promise<void> => {
    await context.close();
    await holdfast[Symbol.asyncDispose]();
  };
  return { holdfast, page, complaints, [Symbol.asyncDispose]: dispose };
}

/** Resolves when it does. A page that hears late of a busy machine's answers says so for a moment. */
const says = (page: Page, state: string) => page.locator(`#state[data-state=${state}]`).waitFor();

/** For eyes: where HOLDFAST_SCREENSHOTS says, if it says anything. */
async function photograph(page: Page, name: string): Promise<void> {
  const folder = process.env['HOLDFAST_SCREENSHOTS'];
  if (folder === undefined) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true });
}

test.serial(
  'the page shows who holds what, who waits, leaders over time, configs and members, live, and no values',
  async (t) => {
    await using server = await EtcdServer.start();
    await using clients = new Clients();
    const [one, two] = [
      await clients.connect(server.endpoint, { instanceId: 'one' }),
      await clients.connect(server.endpoint, { instanceId: 'two' }),
    ];
    const held = await one.lock('a/b').acquire();
    const waiting = two.lock('a/b').acquire();
    /* Where this test fails before. */
    waiting.catch(() => {});
    const config = one.config('limits');
    await config.ready();
    await config.set({ perMinute: 12_345 });
    one.registry('payments').register({ address: 'http://one:8080' });
    const first = await one.election('reporter').campaign({ value: 'proclaimed' });

    await using ui = await open(server.endpoint);
    const { page, complaints } = ui;
    const row = page.locator('#queues tr', { hasText: 'a/b' });
    await row.getByText('one', { exact: true }).waitFor();
    t.true((await row.textContent())?.includes(held.token.toString()));
    await page.locator('#configs .badge.good', { hasText: 'one serves 1' }).waitFor();
    await page.locator('#registries', { hasText: 'http://one:8080' }).waitFor();
    await page.locator('#members', { hasText: 'etcd 3.' }).waitFor();
    await page.locator('#sessions', { hasText: 'two' }).waitFor();
    await says(page, 'live');
    t.regex(await page.title(), /^test · holdfast$/);
    const html = await page.content();
    for (const value of ['12345', 'proclaimed']) t.false(html.includes(value), `${value} was not asked for`);

    /* An opened list stays open while what is around it changes. */
    await row.locator('summary').click();
    await first.resign();
    await two.election('reporter').campaign();
    const election = page.locator('#elections > li', { hasText: 'election reporter' });
    await election.getByText(/is led by two/).waitFor();
    await election.locator('.terms li').nth(1).waitFor();
    t.is(await election.locator('.terms li').count(), 2);
    await election.locator('summary').click();
    await election.locator('details li', { hasText: /^one, token/ }).waitFor();
    t.true(await row.getByText('two', { exact: false }).isVisible());
    await photograph(page, 'light');
    await page.emulateMedia({ colorScheme: 'dark' });
    t.is(await page.evaluate('getComputedStyle(document.body).backgroundColor'), 'rgb(18, 22, 27)');
    await photograph(page, 'dark');

    await held.release();
    await (await waiting).release();
    await row.waitFor({ state: 'detached' });
    t.deepEqual(complaints, []);
  },
);

test.serial('the page can be used from the keyboard, and by its roles and names', async (t) => {
  await using server = await EtcdServer.start();
  await using clients = new Clients();
  const one = await clients.connect(server.endpoint, { instanceId: 'one' });
  await one.lock('first').acquire();
  await one.lock('second').acquire();
  void clients
    .create(server.endpoint, { instanceId: 'waits' })
    .lock('second')
    .acquire()
    .catch(() => {});
  await using ui = await open(server.endpoint);
  const { page } = ui;
  await page.getByText('1 waits').waitFor();

  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  t.is(await page.evaluate('document.activeElement.id'), 'content', 'the link to the content comes first');
  await page.getByRole('searchbox', { name: 'Filter' }).focus();
  await page.keyboard.type('SECOND');
  t.is(await page.locator('#queues tbody tr').count(), 1);
  t.true((await page.textContent('section:has(#configs) .empty'))?.includes('filter'));
  await page.getByRole('searchbox').fill('isZombie');
  t.is(await page.locator('#queues tbody tr').count(), 0, 'what only we call so is not looked at');
  await page.getByRole('searchbox').fill('second');
  const details = page.locator('#queues details');
  const isReached = () => page.evaluate("document.activeElement.closest('details') !== null");
  for (let tabs = 0; tabs < 5 && !(await isReached()); tabs += 1) await page.keyboard.press('Tab');
  t.true(await isReached());
  await page.keyboard.press('Enter');
  t.true(await details.locator('li', { hasText: 'waits' }).isVisible());

  t.is(await page.getByRole('status').count(), 1);
  t.is(await page.getByRole('heading', { level: 1 }).count(), 1);
  for (const name of ['Held and waited for', 'Leaders and their terms', 'Configs', 'Sessions', 'etcd']) {
    t.is(await page.getByRole('heading', { level: 2, name }).count(), 1, name);
  }
  t.is(await page.getByRole('columnheader', { name: 'Token' }).count(), 1);
  await page.setViewportSize({ width: 400, height: 800 });
  t.true(
    await page.evaluate('document.documentElement.scrollWidth <= innerWidth'),
    'a narrow page is not wider than its window',
  );
  t.true(
    await page.evaluate(
      "[...document.querySelectorAll('#queues td')].every((cell) => cell.getBoundingClientRect().right <= innerWidth)",
    ),
    'nor is anything in it to be looked for beyond its edge',
  );
  t.is(
    await page.evaluate("getComputedStyle(document.querySelector('#queues td.token'), '::before').content"),
    '"Token"',
    'where there is no room for columns each cell says what it is',
  );
  await photograph(page, 'narrow');
});

test.serial(
  'what is there twice is shown twice however often it is drawn, and the focus stays while others go',
  async (t) => {
    await using server = await EtcdServer.start();
    await using clients = new Clients();
    const one = await clients.connect(server.endpoint, { instanceId: 'one' });
    const two = await clients.connect(server.endpoint, { instanceId: 'two' });
    for (const address of ['http://one:1', 'http://one:2']) one.registry('payments').register({ address });
    const gpu = { permits: 2 };
    await Promise.all([one.semaphore('gpu', gpu).acquire(), one.semaphore('gpu', gpu).acquire()]);
    for (let count = 0; count < 2; count += 1)
      void two
        .semaphore('gpu', gpu)
        .acquire()
        .catch(() => {});
    const before = await one.lock('be\u202Efore').acquire();
    await using ui = await open(server.endpoint);
    const { page } = ui;
    /* What would turn the words around it is told by its number. */
    const going = page.locator('#queues tr', { hasText: 'be\\u202efore' });
    await going.waitFor();
    await page.getByText('2 wait').waitFor();
    await page.locator('#registries', { hasText: 'http://one:2' }).waitFor();
    await page.locator('#queues summary', { hasText: '2 wait' }).focus();

    const config = one.config('limits');
    for (let version = 1; version <= 2; version += 1) {
      await config.set({ version });
      await page.locator('#configs', { hasText: String(version) }).waitFor();
    }
    t.is(await page.locator('#registries tbody tr').count(), 2);
    t.is(await page.locator('#queues details li').count(), 2);
    await before.release();
    await going.waitFor({ state: 'detached' });
    t.is(await page.evaluate('document.activeElement.tagName'), 'SUMMARY');
  },
);

test.serial(
  'while etcd is away the page says how old it is, and is live again when it is back; without holdfast ui it says so',
  async (t) => {
    await using server = await EtcdServer.start();
    await using proxy = await FaultProxy.start(server.endpoint);
    await using clients = new Clients();
    const one = await clients.connect(server.endpoint, { instanceId: 'one' });
    await one.lock('kept').acquire();
    await using ui = await open(proxy.endpoint, '--ttl', '3s', '--timeout', '1s');
    const { holdfast, page } = ui;
    await page.locator('#queues', { hasText: 'kept' }).waitFor();

    proxy.blackhole();
    await says(page, 'stale');
    t.regex((await page.textContent('#state')) ?? '', /etcd does not answer/);
    await page.locator('#state', { hasText: 'degraded' }).waitFor();
    await page.locator('#members', { hasText: 'not well' }).waitFor();
    const ageOf = async () => Number.parseInt((await page.textContent('#age')) ?? '', 10);
    const age = await ageOf();
    await until('what is shown to be older', async () => (await ageOf()) > age);
    t.true(await page.locator('#queues', { hasText: 'kept' }).isVisible(), 'the last that was seen stays');
    const kept = page.locator('#queues tr', { hasText: 'kept' }).locator('.since');
    const since = await kept.textContent();
    const later = await ageOf();
    await until('what is shown to be older still', async () => (await ageOf()) > later);
    t.is(await kept.textContent(), since, 'nobody knows whether it is still held');
    await photograph(page, 'stale');
    proxy.heal();
    await says(page, 'live');

    holdfast.child.kill('SIGSTOP');
    await page.locator('#state[data-state=lost]', { hasText: 'holdfast ui is silent' }).waitFor();
    holdfast.child.kill('SIGCONT');
    await says(page, 'live');
    holdfast.child.kill('SIGTERM');
    t.is((await holdfast.ended).code, 0);
    await page.locator('#state[data-state=lost]', { hasText: 'holdfast ui has gone' }).waitFor();
    t.true(await page.locator('#queues', { hasText: 'kept' }).isVisible());
  },
);

test.serial(
  'where etcd was never there the page says so, and how each member is; a viewer too many is told',
  async (t) => {
    await using ui = await open('http://127.0.0.1:1');
    const { holdfast, page } = ui;
    await page.locator('#state', { hasText: 'No look has been answered yet' }).waitFor();
    await page.locator('#members', { hasText: 'not well' }).waitFor();
    t.false(await page.locator('#queues').isVisible(), 'no empty table says that nothing is held');

    const url = holdfast.out.trim();
    const others = Array.from({ length: 31 }, () => get(`${url}events`).on('error', () => {}));
    await Promise.all(others.map((asking) => once(asking, 'response')));
    const other = await page.context().newPage();
    await other.goto(url);
    await other.locator('#state[data-state=lost]', { hasText: 'too many' }).waitFor();
    await says(page, 'stale');
  },
);

test.serial(
  'values are shown where that was asked for, without the page being one of the instances that serve them',
  async (t) => {
    await using server = await EtcdServer.start();
    await using clients = new Clients();
    const one = await clients.connect(server.endpoint, { instanceId: 'one' });
    const config = one.config('limits');
    await config.ready();
    await config.set({ perMinute: 100 });
    await one.election('reporter').campaign({ value: 'http://one' });
    await using ui = await open(server.endpoint, '--values', '--instance-id', 'page');
    const { page } = ui;
    await page.locator('#configs code', { hasText: '{"perMinute":100}' }).waitFor();
    await page.locator('#queues code', { hasText: 'http://one' }).waitFor();
    await config.set({ perMinute: 50 });
    await page.locator('#configs code', { hasText: '{"perMinute":50}' }).waitFor();
    await page.locator('#configs .badge', { hasText: 'one serves 2' }).waitFor();
    t.is(await page.locator('#configs .badge').count(), 1);
  },
);

test.serial(
  'of many elections those on the screen have bars, and the others when somebody comes to them',
  async (t) => {
    await using server = await EtcdServer.start();
    await using clients = new Clients();
    const one = await clients.connect(server.endpoint, { instanceId: 'one' });
    const names = Array.from({ length: 60 }, (_, index) => `e${String(index).padStart(2, '0')}`);
    await Promise.all(names.map((name) => one.election(name).campaign()));
    await using ui = await open(server.endpoint);
    const { page } = ui;
    const last = page.locator('#elections > li', { hasText: 'election e59' });
    await last.getByText(/is led by one/).waitFor();
    t.is(await last.locator('.terms li').count(), 0);
    await last.scrollIntoViewIfNeeded();
    const bar = last.locator('.terms li');
    await bar.waitFor();
    await bar.hover();
    t.regex((await bar.getAttribute('title')) ?? '', /^one, token \d+: began /);
  },
);

test.serial('a page that others could read is refused unless it is under TLS or that is said', async (t) => {
  const refused = async (...words: string[]): Promise<string> => {
    await using holdfast = new HoldfastProcess(['ui', ...words], {});
    const { code, err } = await holdfast.ended;
    t.is(code, 64);
    return err;
  };
  t.regex(await refused('--host', '0.0.0.0'), /loopback/);
  t.regex(await refused('--host', '::'), /loopback/);
  t.regex(await refused('--host', 'a.example'), /loopback/);
  t.regex(await refused('--page-cert-file', 'a.pem'), /together/);
  t.regex(await refused('--port', '70000'), /65535/);
  const noPem = path.join(import.meta.dirname, 'ui.test.js');
  t.regex(await refused('--page-cert-file', noPem, '--page-key-file', noPem), /a certificate and its key/);
  await using holdfast = new HoldfastProcess(['ui', '--host', '0.0.0.0', '--expose'], {});
  await until('the address of the page', () => holdfast.out.includes('\n'));
  const url = holdfast.out.trim().replace('0.0.0.0', '127.0.0.1');
  const status = await new Promise((resolve) => request(url, ({ statusCode }) => resolve(statusCode)).end());
  t.is(status, 200);
});
