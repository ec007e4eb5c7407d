import { createServer } from 'node:http';
import { inspect } from 'node:util';
import test from 'ava';
import { VirtualClock } from '../testing/virtual-clock.ts';
import {
  fencingHeaders,
  fencingToken,
  httpGuard,
  httpGuardOn,
  type HttpGuardOptions,
  type HttpRequest,
  type TokenCheck,
} from './http.ts';
import { memoryGuard } from './memory.ts';
import type { HttpResponse } from './problem.ts';

interface Answered {
  status?: number;
  headers: Record<string, string>;
  problem?: Record<string, unknown>;
  passed: number;
}

/** Sends a request through the middleware, and gives what came of it. */
function send(
  guard: (request: HttpRequest, response: HttpResponse, next: () => void) => void,
  request: Partial<HttpRequest>,
  kind: 'node' | 'fastify' = 'node',
): Answered {
  const answered: Answered = { headers: {}, passed: 0 };
  const header = (name: string, value: string): void => {
    answered.headers[name] = value;
  };
  const end = (body: string): void => {
    answered.problem = JSON.parse(body) as Record<string, unknown>;
  };
  const node = {
    set statusCode(status: number) {
      answered.status = status;
    },
    setHeader: header,
    end,
  };
  const fastify = {
    code: (status: number) => {
      answered.status = status;
    },
    header,
    send: end,
  };
  guard({ method: 'PUT', headers: {}, ...request }, kind === 'node' ? node : fastify, (...args: unknown[]) => {
    answered.passed += 1;
    if (args.length > 0) throw new Error('next was called with an argument');
  });
  return answered;
}

const withToken = (token: string | string[]): Partial<HttpRequest> => ({ headers: { 'fencing-token': token } });

for (const kind of ['node', 'fastify'] as const) {
  test(`equal and greater tokens pass, a smaller one is 409 with the greatest seen (${kind})`, (t) => {
    const guard = httpGuard(memoryGuard(), { resource: 'invoice:42' });
    t.like(send(guard, withToken('9007199254740993'), kind), { passed: 1, problem: undefined });
    t.like(send(guard, withToken('9007199254740993'), kind), { passed: 1, problem: undefined });
    const refused = send(guard, withToken('9007199254740992'), kind);
    t.deepEqual(refused.headers, { 'Content-Type': 'application/problem+json', 'Cache-Control': 'no-store' });
    t.like(refused, {
      passed: 0,
      status: 409,
      problem: {
        type: 'urn:holdfast:problem:stale-token',
        status: 409,
        resource: 'invoice:42',
        token: '9007199254740992',
        highest: '9007199254740993',
      },
    });
  });
}

test('a request without a token is 428, a read included unless reads are open', (t) => {
  const closed = httpGuard(memoryGuard(), { resource: 'a' });
  const open = httpGuard(memoryGuard(), { resource: 'a', openReads: true });
  for (const method of ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'get', undefined]) {
    t.like(send(closed, { method }), {
      passed: 0,
      status: 428,
      problem: { type: 'urn:holdfast:problem:missing-token' },
    });
    const isRead = method === 'GET' || method === 'HEAD';
    t.like(send(open, { method }), isRead ? { passed: 1 } : { passed: 0, status: 428 });
  }
});

test('a token that comes with an open read is checked all the same', (t) => {
  const guard = httpGuard(memoryGuard(), { resource: 'a', openReads: true });
  t.like(send(guard, { method: 'GET', ...withToken('5') }), { passed: 1 });
  t.like(send(guard, withToken('4')), { status: 409 });
  t.like(send(guard, { method: 'GET', ...withToken('4') }), { passed: 0, status: 409 });
});

for (const text of [
  '',
  '0',
  '-1',
  '1.5',
  '1e3',
  ' 1',
  '1, 2',
  '0x1',
  '9223372036854775808',
  '٣',
  ['1', '2'],
  'a'.repeat(9_000),
]) {
  test(`a token that is ${inspect(text).slice(0, 30)} is 400, and the guard is not asked`, (t) => {
    const guard = httpGuard({ check: () => t.fail() }, { resource: 'a' });
    const refused = send(guard, withToken(text));
    t.like(refused, { passed: 0, status: 400, problem: { type: 'urn:holdfast:problem:malformed-token' } });
    t.true(JSON.stringify(refused.problem).length < 500);
  });
}

test('the resource may depend on the request, and a name that is none is 400', (t) => {
  const guard = httpGuard(memoryGuard(), {
    resource: (request: HttpRequest & { readonly id?: string }) => `invoice:${request.id}`,
  });
  const of = (id: string, token: string): Partial<HttpRequest> => ({ ...withToken(token), id }) as Partial<HttpRequest>;
  t.like(send(guard, of('1', '9')), { passed: 1 });
  t.like(send(guard, of('2', '8')), { passed: 1 });
  t.like(send(guard, of('1', '8')), { status: 409, problem: { resource: 'invoice:1' } });
  t.like(send(guard, of('\0', '8')), {
    passed: 0,
    status: 400,
    problem: { type: 'urn:holdfast:problem:malformed-resource' },
  });
  t.like(send(guard, of('x'.repeat(2_000), '8')), { passed: 0, status: 400 });
});

const failures: readonly (readonly [title: string, check: TokenCheck['check'], options?: Partial<HttpGuardOptions>])[] =
  [
    [
      'throws',
      () => {
        throw new Error('Redis is away');
      },
    ],
    ['rejects', () => Promise.reject(new Error('Redis is away'))],
    [
      'cannot be asked about what',
      () => {},
      {
        resource: () => {
          throw new Error('Redis is away');
        },
      },
    ],
  ];
for (const [title, check, options] of failures) {
  test(`a guard that ${title} lets nothing through: 503, and the reason is told to the service only`, async (t) => {
    const told: unknown[] = [];
    const guard = httpGuard(
      { check },
      {
        resource: 'a',
        onError: (error) => {
          told.push(error);
          throw new Error('and this one fails');
        },
        ...options,
      },
    );
    const refused = send(guard, withToken('1'));
    await new Promise((resolve) => setImmediate(resolve));
    t.like(refused, { passed: 0, status: 503, problem: { type: 'urn:holdfast:problem:unchecked-token' } });
    t.false(JSON.stringify(refused.problem).includes('Redis'));
    t.like(told, [{ message: 'Redis is away' }]);
  });
}

test('a guard that does not answer lets nothing through, not even when it answers late', async (t) => {
  const clock = new VirtualClock();
  let answerLate = (): void => {};
  const check = (): Promise<void> => new Promise((resolve) => (answerLate = resolve));
  const told: unknown[] = [];
  const guard = httpGuardOn(clock, { check }, { resource: 'a', timeoutMs: 300, onError: (error) => told.push(error) });
  const refused = send(guard, withToken('1'));
  await clock.advance(299);
  t.is(refused.status, undefined);
  await clock.advance(1);
  t.like(refused, { passed: 0, status: 503 });
  t.like(told, [{ message: 'The guard did not answer within 300 ms' }]);
  answerLate();
  await clock.flush();
  t.is(refused.passed, 0);
  t.is(clock.pendingTimers, 0);
});

test('what was answered meanwhile is not answered again', async (t) => {
  const guard = httpGuard({ check: () => Promise.reject(new Error('late')) }, { resource: 'a' });
  const unexpected = (): void => t.fail();
  const request = { headers: { 'fencing-token': '1' } };
  guard(request, { statusCode: 200, headersSent: true, setHeader: unexpected, end: unexpected }, unexpected);
  guard(request, { sent: true, code: unexpected, header: unexpected, send: unexpected }, unexpected);
  await new Promise((resolve) => setImmediate(resolve));
  t.pass();
});

test('a handler that throws is not mistaken for a guard that fails', (t) => {
  const guard = httpGuard(memoryGuard(), { resource: 'a', onError: () => t.fail() });
  const response = { statusCode: 0, setHeader: () => t.fail(), end: () => t.fail() };
  t.throws(
    () =>
      guard({ headers: { 'fencing-token': '1' } }, response, () => {
        throw new Error('handler');
      }),
    { message: 'handler' },
  );
});

test('the header that a holder sends is the one that the guard reads', (t) => {
  t.deepEqual(fencingHeaders({ token: 2n ** 53n + 1n }), { 'Fencing-Token': '9007199254740993' });
  t.is(fencingToken({ headers: { 'fencing-token': '9007199254740993' } }), 2n ** 53n + 1n);
  t.deepEqual(fencingHeaders({ token: 7n }, 'X-Token'), { 'X-Token': '7' });
  t.is(fencingToken({ headers: { 'x-token': '7' } }, 'X-Token'), 7n);
  const guard = httpGuard(memoryGuard(), { resource: 'a', header: 'X-Token' });
  t.like(send(guard, { headers: { 'x-token': '7' } }), { passed: 1 });
  t.regex(String(send(guard, withToken('7')).problem?.['detail']), /X-Token/);
  t.throws(() => fencingToken({ headers: {} }), { instanceOf: TypeError });
  t.throws(() => fencingHeaders({ token: 7 as unknown as bigint }), { instanceOf: TypeError });
});

for (const [what, guard, options, message] of [
  ['no guard', undefined, { resource: 'a' }, /check/],
  ['a guard without check', {}, { resource: 'a' }, /check/],
  ['no options', memoryGuard(), undefined, /options of httpGuard/],
  ['no resource', memoryGuard(), {}, /resource/],
  ['an empty resource', memoryGuard(), { resource: '' }, /resource/],
  ['a header that is none', memoryGuard(), { resource: 'a', header: 'Fencing Token' }, /header/],
  ['null for the header', memoryGuard(), { resource: 'a', header: null }, /header.*got null/],
  ['a misspelt option', memoryGuard(), { resource: 'a', timeout: 1 }, /"timeout"/],
  ['no time', memoryGuard(), { resource: 'a', timeoutMs: 0 }, /timeoutMs/],
  ['openReads as text', memoryGuard(), { resource: 'a', openReads: 'yes' }, /openReads/],
] as const) {
  test(`${what} is refused when the middleware is made`, (t) => {
    const error = t.throws(() => httpGuard(guard as unknown as TokenCheck, options as unknown as HttpGuardOptions), {
      message,
    });
    t.true(error instanceof TypeError || error instanceof RangeError);
  });
}

test('it fits a server of node:http by its types', (t) => {
  const guard = httpGuard(memoryGuard(), { resource: 'a' });
  const server = createServer((request, response) => guard(request, response, () => response.end()));
  t.false(server.listening);
});
