import test from 'ava';
import * as fc from 'fast-check';
import { show } from './arguments.ts';
import { completeOptions, type CoordinatorOptions } from './coordinator-options.ts';
import { createCoordinator } from './coordinator.ts';
import { anything, withOneReplaced } from './testing/arbitraries.ts';

/** What comes from JavaScript, from JSON or from a cast. */
const given = (options: unknown): CoordinatorOptions => options as CoordinatorOptions;

const refusals: readonly [
  title: string,
  options: unknown,
  error: typeof TypeError | typeof RangeError,
  message: RegExp,
][] = [
  ['a TTL of 0', { session: { ttlMs: 0 } }, RangeError, /session\.ttlMs.*at least 1000, got 0/],
  ['a TTL below 0', { session: { ttlMs: -1 } }, RangeError, /session\.ttlMs.*got -1/],
  ['a TTL meant as seconds', { session: { ttlMs: 1.7 } }, RangeError, /session\.ttlMs.*got 1\.7/],
  [
    'a TTL without a text',
    { session: { ttlMs: Object.create(null) as unknown } },
    RangeError,
    /session\.ttlMs.*of no class/,
  ],
  ['a TTL of null', { session: { ttlMs: null } }, RangeError, /session\.ttlMs.*got null/],
  ['a session of null', { session: null }, TypeError, /session.*got null/],
  ['a namespace of null', { namespace: null }, TypeError, /namespace.*got null/],
  ['a TTL of NaN', { session: { ttlMs: Number.NaN } }, RangeError, /session\.ttlMs.*got NaN/],
  ['an infinite TTL', { session: { ttlMs: Number.POSITIVE_INFINITY } }, RangeError, /session\.ttlMs.*got Infinity/],
  ['a TTL that is no number', { session: { ttlMs: 'x' } }, RangeError, /session\.ttlMs.*got "x"/],
  ['a TTL as text', { session: { ttlMs: '5000' } }, RangeError, /session\.ttlMs.*got "5000"/],
  ['a TTL of more than a day', { session: { ttlMs: 86_400_001 } }, RangeError, /session\.ttlMs/],
  ['a TTL in seconds under another name', { session: { ttl: 15 } }, TypeError, /session.*ttlMs.*"ttl"/],
  ['an unknown option', { endpoint: 'http://127.0.0.1:2379' }, TypeError, /endpoints.*"endpoint"/],
  ['options that are no object', 'http://127.0.0.1:2379', TypeError, /options of createCoordinator/],
  ['an unknown option of request', { request: { timeout: 5 } }, TypeError, /timeoutMs.*"timeout"/],
  ['a request timeout of 0', { request: { timeoutMs: 0 } }, RangeError, /request\.timeoutMs.*at least 1, got 0/],
  ['a request deadline of NaN', { request: { deadlineMs: Number.NaN } }, RangeError, /request\.deadlineMs.*NaN/],
  [
    'a request timeout above its deadline',
    { request: { timeoutMs: 9_000, deadlineMs: 3_000 } },
    RangeError,
    /timeoutMs <= request\.deadlineMs, got 9000 and 3000/,
  ],
  ['an empty endpoint', { endpoints: '' }, TypeError, /endpoint.*""/],
  ['no endpoints', { endpoints: [] }, TypeError, /endpoints/],
  ['an endpoint without a host', { endpoints: 'http://' }, TypeError, /"http:\/\/"/],
  ['an endpoint without a scheme', { endpoints: '127.0.0.1:2379' }, TypeError, /"127\.0\.0\.1:2379"/],
  ['an endpoint of another scheme', { endpoints: 'ftp://127.0.0.1:2379' }, TypeError, /"ftp:/],
  ['an endpoint that is no text', { endpoints: [2379] }, TypeError, /text, got number/],
  [
    'http and https mixed',
    { endpoints: ['http://127.0.0.1:2379', 'https://127.0.0.1:2380'] },
    TypeError,
    /https:\/\/127\.0\.0\.1:2380/,
  ],
  [
    'an endpoint twice',
    { endpoints: ['http://127.0.0.1:2379', 'http://127.0.0.1:2379'] },
    TypeError,
    /http:\/\/127\.0\.0\.1:2379/,
  ],
  ['a namespace with a slash', { namespace: 'a/b' }, TypeError, /namespace.*"a\/b"/],
  ['an empty namespace', { namespace: '' }, TypeError, /namespace/],
  ['a namespace that is no text', { namespace: 7 }, TypeError, /namespace.*7/],
  ['a namespace with half a character', { namespace: '\uD800' }, TypeError, /namespace/],
  ['a user without a name', { auth: { username: '', password: 'x' } }, TypeError, /auth\.username/],
  ['a user without a password', { auth: { username: 'x' } }, TypeError, /auth\.password/],
  ['an unknown option of tls', { endpoints: 'https://127.0.0.1:1', tls: { cacert: 'x' } }, TypeError, /tls.*"cacert"/],
  ['TLS for http', { endpoints: 'http://127.0.0.1:2379', tls: {} }, TypeError, /https/],
  [
    'TLS for what is found beside http',
    { endpoints: 'http://a:1', discovery: { srv: 'a.b' }, tls: {} },
    TypeError,
    /https/,
  ],
  ['discovery as a domain', { discovery: 'example.com' }, TypeError, /options of discovery.*"example\.com"/],
  ['an unknown option of discovery', { discovery: { domain: 'a.b' } }, TypeError, /discovery.*srv.*"domain"/],
  ['a domain that is no text', { discovery: { srv: 7 } }, TypeError, /discovery\.srv.*got 7/],
  ['an empty domain', { discovery: { srv: '' } }, TypeError, /discovery\.srv.*got ""/],
  ['a URL as a domain', { discovery: { srv: 'http://a.b' } }, TypeError, /discovery\.srv.*"http:\/\/a\.b"/],
  ['an address as a domain', { discovery: { srv: '10.0.0.1' } }, TypeError, /discovery\.srv.*"10\.0\.0\.1"/],
  ['the whole name of the record', { discovery: { srv: '_etcd-client._tcp.a.b' } }, TypeError, /discovery\.srv/],
  ['a domain that is too long', { discovery: { srv: `${'a.'.repeat(120)}b` } }, TypeError, /discovery\.srv/],
  ['members that are no boolean', { discovery: { members: 'yes' } }, TypeError, /discovery\.members.*got "yes"/],
  ['asking all the time', { discovery: { members: true, everyMs: 0 } }, RangeError, /discovery\.everyMs.*100, got 0/],
  ['asking never', { discovery: { everyMs: Number.POSITIVE_INFINITY } }, RangeError, /discovery\.everyMs.*Infinity/],
  ['an empty instance ID', { instanceId: '' }, TypeError, /instanceId/],
];

for (const [title, options, instanceOf, message] of refusals) {
  test(`${title} is refused when the coordinator is made, by name`, (t) => {
    t.throws(() => createCoordinator(given(options)), { instanceOf, message });
  });
}

const session = { ttlMs: 5_000 };
const request = { timeoutMs: 1_000, deadlineMs: 3_000 };
const discovery = { srv: 'example.com', members: true, everyMs: 1_000 };
const auth = { username: 'x', password: 'y' };
const logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const whole = { namespace: 'n', session, request, snapshotDir: '/nowhere', instanceId: 'me', logger };
const http = { ...whole, endpoints: ['http://127.0.0.1:1', 'http://127.0.0.1:2'] };
const https = { ...whole, auth, endpoints: ['https://127.0.0.1:1'], tls: {} };

/** Options with one part replaced by anything, and what an error has to name. */
const mangled: fc.Arbitrary<readonly [options: unknown, name: string]> = fc.oneof(
  anything.map((options) => [options, 'createCoordinator'] as const),
  withOneReplaced(http),
  withOneReplaced(https),
  withOneReplaced(session).map(([part, name]) => [{ ...http, session: part }, name] as const),
  withOneReplaced(request).map(([part, name]) => [{ ...http, request: part }, name] as const),
  withOneReplaced(discovery).map(([part, name]) => [{ ...http, discovery: part }, name] as const),
  withOneReplaced(auth).map(([part, name]) => [{ ...https, auth: part }, name] as const),
  withOneReplaced({ ca: 'x', cert: 'x', key: 'x' }).map(([tls]) => [{ ...https, tls }, 'tls'] as const),
  fc.array(fc.oneof(anything, fc.webUrl())).map((endpoints) => [{ ...http, endpoints }, 'endpoint'] as const),
);

test('the options of a coordinator are taken, or refused by name, whatever they are', async (t) => {
  const property = fc.asyncProperty(mangled, async ([options, name]) => {
    try {
      await createCoordinator(given(options)).close();
    } catch (error) {
      if (!(error instanceof TypeError) && !(error instanceof RangeError)) throw error;
      const { message } = error;
      const isNamed = message.includes(name) || (name === 'endpoints' && message.includes('endpoint'));
      t.true(isNamed || (name === 'tls' && message.includes('TLS')), `${message}\n… does not name ${name}`);
    }
  });
  await fc.assert(property, { numRuns: 500 });
  t.pass();
});

test('a password never stands in an error', (t) => {
  const error = t.throws(() => createCoordinator(given({ auth: { username: '', password: 'hunter2' } })));
  t.false(error?.message.includes('hunter2'));
});

test('a coordinator can be made and closed without a server, and closed again', async (t) => {
  const coordinator = createCoordinator({ endpoints: 'http://127.0.0.1:1', instanceId: 'me' });
  t.is(coordinator.instanceId, 'me');
  t.is(coordinator.session, undefined);
  t.is(coordinator.health.state, 'starting');
  await coordinator.close();
  await coordinator.close();
  t.is(coordinator.health.state, 'closed');
});

const completions: readonly [
  claim: string,
  options: CoordinatorOptions,
  endpoints: readonly string[],
  found: unknown,
][] = [
  ['nothing is followed unless asked for', { endpoints: 'http://c:1' }, ['http://c:1'], undefined],
  [
    'a switch that is off asks for nothing',
    { endpoints: 'http://c:1', discovery: { members: false } },
    ['http://c:1'],
    undefined,
  ],
  [
    'members are followed from the configured endpoints',
    { endpoints: 'http://c:1', discovery: { members: true } },
    ['http://c:1'],
    { members: true, everyMs: 60_000 },
  ],
  [
    'with a domain alone no endpoint is assumed',
    { discovery: { srv: 'a.b.', everyMs: 100 } },
    [],
    { srv: 'a.b', members: false, everyMs: 100 },
  ],
  [
    'with a domain and endpoints there are both',
    { endpoints: 'http://c:1', discovery: { srv: 'a.b' } },
    ['http://c:1'],
    { srv: 'a.b', members: false, everyMs: 60_000 },
  ],
];
for (const [claim, options, endpoints, found] of completions) {
  test(claim, (t) => {
    const complete = completeOptions(options);
    t.deepEqual(complete.endpoints, endpoints);
    t.deepEqual(complete.discovery, found);
  });
}

const names: readonly unknown[] = [
  '',
  7,
  undefined,
  null,
  'x'.repeat(1_025),
  'é'.repeat(513),
  '\uDC00',
  {},
  7n,
  Symbol('x'),
];
for (const name of names) {
  test(`a lock cannot have the name ${show(name)}`, async (t) => {
    await using coordinator = createCoordinator({ endpoints: 'http://127.0.0.1:1' });
    t.throws(() => coordinator.lock(name as string), { instanceOf: TypeError, message: /name of the lock/ });
    t.throws(() => coordinator.lockAll(['fine', name as string]), {
      instanceOf: TypeError,
      message: /name of the lock/,
    });
    t.throws(() => coordinator.config(name as string, { fallback: 1 }), { message: /name of the config/ });
  });
}

const calls: readonly [string, unknown, typeof TypeError | typeof RangeError][] = [
  ['a timeout below 0', { timeoutMs: -1 }, RangeError],
  ['a timeout of NaN', { timeoutMs: Number.NaN }, RangeError],
  ['a timeout as text', { timeoutMs: '500' }, RangeError],
  ['a misspelt timeout', { timeout: 500 }, TypeError],
  ['a signal that is none', { signal: {} }, TypeError],
];
for (const [title, options, instanceOf] of calls) {
  test(`acquire refuses ${title}, before it waits for anything`, async (t) => {
    await using coordinator = createCoordinator({ endpoints: 'http://127.0.0.1:1' });
    await t.throwsAsync(coordinator.lock('a').acquire(options as object), { instanceOf });
    await t.throwsAsync(
      coordinator.lock('a').with(() => t.fail(), options as object),
      { instanceOf },
    );
  });
}

test.serial('without endpoints those of the environment are taken, commas and blanks to spare', (t) => {
  const { HOLDFAST_ENDPOINTS: before } = process.env;
  try {
    for (const [text, endpoints] of [
      ['http://a:1, http://b:2,', ['http://a:1', 'http://b:2']],
      [' ', ['http://127.0.0.1:2379']],
    ] as const) {
      process.env['HOLDFAST_ENDPOINTS'] = text;
      t.deepEqual(completeOptions({}).endpoints, endpoints);
    }
  } finally {
    if (before === undefined) delete process.env['HOLDFAST_ENDPOINTS'];
    else process.env['HOLDFAST_ENDPOINTS'] = before;
  }
});
