import { inspect } from 'node:util';
import test from 'ava';
import { OutcomeUnknownError, StaleTokenError } from '../errors.ts';
import { VirtualClock } from '../testing/virtual-clock.ts';
import { evaluatorOf, isReply, isUnsent, type RedisClient } from './redis-client.ts';
import { callScript, type ScriptCall } from './redis-script.ts';
import { redisGuard } from './redis.ts';

class ReplyError extends Error {}
class ErrorReply extends Error {}
class SimpleError extends ErrorReply {}
class ClientClosedError extends Error {}

const unused = (): never => {
  throw new Error('A command was sent');
};

test('both clients get the script in the form that is theirs', async (t) => {
  const calls: unknown[][] = [];
  const record = (...args: unknown[]): Promise<string> => {
    calls.push(args);
    return Promise.resolve('');
  };
  await evaluatorOf({ eval: record, evalsha: unused })('script', ['a', 'b'], ['1']);
  await evaluatorOf({ eval: record, evalSha: unused })('script', ['a', 'b'], ['1']);
  t.deepEqual(calls, [
    ['script', 2, 'a', 'b', '1'],
    ['script', { keys: ['a', 'b'], arguments: ['1'] }],
  ]);
});

for (const [title, redis] of [
  ['undefined', undefined],
  ['an object', {}],
  ['a client without EVALSHA', { eval: unused }],
  ['a pipeline of ioredis', { eval: unused, evalsha: unused, isPipeline: true }],
  ['a MULTI of node-redis', { eval: unused, evalSha: unused, execAsPipeline: unused }],
] as const) {
  test(`${title} is refused as a client`, (t) => {
    t.throws(() => redisGuard(redis as unknown as RedisClient), { instanceOf: TypeError, message: /^Expected redis/ });
  });
}

test('a client with callbacks instead of promises is a TypeError', async (t) => {
  const old = { eval: () => true, evalsha: unused } as unknown as RedisClient;
  await t.throwsAsync(redisGuard(old).check('a', 1n), { instanceOf: TypeError, message: /return a promise/ });
});

const client = { eval: () => Promise.reject(new Error('A command was sent')), evalSha: unused };

for (const token of [2 ** 53, 1, -1n, 0n, 1.5, 2n ** 63n, '', '1', undefined, null] as const) {
  test(`a token that is ${inspect(token)} is a TypeError before any call`, async (t) => {
    const guard = redisGuard(client);
    const given = token as bigint;
    for (const call of [
      guard.check('a', given),
      guard.get('a', given),
      guard.set('a', '', given),
      guard.run('a', given, 'x'),
    ]) {
      await t.throwsAsync(call, { instanceOf: TypeError, message: /fencing token/ });
    }
  });
}

for (const [title, call, message] of [
  ['an empty resource', () => redisGuard(client).check('', 1n), /^Expected resource/],
  ['a value that is no text', () => redisGuard(client).set('a', 1 as unknown as string, 1n), /^Expected value/],
  ['an empty script', () => redisGuard(client).run('a', 1n, ''), /script/],
  ['a misspelt option', () => redisGuard(client).run('a', 1n, 'x', { key: [] } as object), /"key"/],
  [
    'arguments that are no texts',
    () => redisGuard(client).run('a', 1n, 'x', { args: [undefined as unknown as string] }),
    /args/,
  ],
  ['keys that are no array', () => redisGuard(client).run('a', 1n, 'x', { keys: 'a' as unknown as string[] }), /keys/],
  ['a signal that is none', () => redisGuard(client).check('a', 1n, { signal: {} as AbortSignal }), /signal/],
] as const) {
  test(`${title} is refused before any call`, async (t) => {
    const error = await t.throwsAsync(call, { message });
    t.true(error instanceof TypeError || error instanceof RangeError);
  });
}

test('options that are wrong are refused', (t) => {
  t.throws(() => redisGuard(client, { timeoutMs: 0 }), { instanceOf: RangeError, message: /timeoutMs/ });
  t.throws(() => redisGuard(client, { prefix: 1 as unknown as string }), { instanceOf: TypeError, message: /prefix/ });
  t.throws(() => redisGuard(client, { timeout: 1 } as object), { instanceOf: TypeError, message: /"timeout"/ });
});

test('the keys of a resource share a hash tag whatever its name is, and no two resources share a key', (t) => {
  const guard = redisGuard(client);
  t.deepEqual(guard.keys('invoice:42'), { fence: 'holdfast:{invoice:42}:fence', value: 'holdfast:{invoice:42}:value' });
  const names = ['a', 'a}', '{a}', '}', '{', '%7D', 'a}:fence', 'a:fence', '{}'];
  const seen = new Set<string>();
  for (const name of names) {
    const { fence, value } = guard.keys(name);
    t.is(hashTag(fence), hashTag(value));
    t.not(hashTag(fence), '');
    seen.add(fence).add(value);
  }
  t.is(seen.size, names.length * 2);
});

/** As the specification of Redis Cluster has it. */
function hashTag(key: string): string {
  return /\{([^}]+)\}/.exec(key)?.[1] ?? key;
}

test('only an answer of Redis counts as one', (t) => {
  t.true(isReply(new ReplyError('ERR')));
  t.true(isReply(new SimpleError('ERR')));
  for (const error of [new Error('ERR'), new ClientClosedError(), undefined, null, 'ReplyError', Object.create(null)])
    t.false(isReply(error));
  t.true(isUnsent(new ClientClosedError()));
  t.true(isUnsent(new Error("Stream isn't writeable and enableOfflineQueue options is false")));
  t.false(isUnsent(new Error('Socket closed unexpectedly')));
});

function call(overrides: Partial<ScriptCall> = {}): ScriptCall {
  const base = { script: '', resource: 'a', token: 5n, keys: [], args: [], signal: undefined, timeoutMs: 2_000 };
  return { ...base, wasRepeated: () => false, ...overrides };
}

const outcomes: readonly (readonly [title: string, reply: unknown, expected: object])[] = [
  ['ok', ['ok', 'x'], { result: 'x' }],
  ['ok as bytes', [Buffer.from('ok'), null], { result: null }],
  ['stale', ['stale', '9223372036854775807'], { code: 'STALE_TOKEN', highest: 2n ** 63n - 1n, token: 5n }],
  ['something else', true, { code: 'OUTCOME_UNKNOWN' }],
  ['an error of Redis', new ReplyError('OOM'), { message: 'OOM' }],
  ['a closed client', new ClientClosedError('The client is closed'), { message: 'The client is closed' }],
  ['a lost connection', new Error('Socket closed unexpectedly'), { code: 'OUTCOME_UNKNOWN' }],
];
for (const [title, reply, expected] of outcomes) {
  test(`the answer is ${title}`, async (t) => {
    const clock = new VirtualClock();
    const evaluate = (): Promise<unknown> => (reply instanceof Error ? Promise.reject(reply) : Promise.resolve(reply));
    const outcome = await callScript(clock, evaluate, call()).then(
      (result) => ({ result }),
      (error: unknown) => error as Error,
    );
    t.like(outcome, expected);
    t.is(clock.pendingTimers, 0);
  });
}

test('a call that is not answered settles in time as an unknown outcome', async (t) => {
  const clock = new VirtualClock();
  const pending = callScript(clock, () => new Promise(() => undefined), call());
  const error = await t.throwsAsync(clock.settle(pending), { instanceOf: OutcomeUnknownError });
  t.is(clock.elapsedMs, 2_000);
  t.regex(String(error?.cause), /within 2000 ms/);
});

test('a signal that aborts before sending sends nothing; after sending, the outcome is unknown and the reason its cause', async (t) => {
  const clock = new VirtualClock();
  const before = callScript(clock, unused, call({ signal: AbortSignal.abort('enough') }));
  t.is(await before.catch((error: unknown) => error), 'enough');

  const controller = new AbortController();
  const pending = callScript(clock, () => new Promise(() => undefined), call({ signal: controller.signal }));
  controller.abort('enough');
  t.like(await t.throwsAsync(pending, { instanceOf: OutcomeUnknownError }), { cause: 'enough' });
  t.is(clock.pendingTimers, 0);
});

test('a refusal that the client got only when it sent the write again does not say that nothing was written', async (t) => {
  const stale = (): Promise<unknown> => Promise.resolve(['stale', '6']);
  const error = await t.throwsAsync(callScript(new VirtualClock(), stale, call({ wasRepeated: () => true })), {
    instanceOf: OutcomeUnknownError,
  });
  t.true(error?.cause instanceof StaleTokenError);
});
