import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { Cluster, Redis } from 'ioredis';
import { createClient, createClientPool, createCluster } from 'redis';
import { OutcomeUnknownError, StaleTokenError } from '../../lib/errors.ts';
import { redisGuard, type RedisClient, type RedisGuard, type RedisGuardOptions } from '../../lib/guards/redis.ts';
import { until } from '../lock/support/until.ts';
import { freePorts } from '../servers/free-ports.ts';
import { RedisServer } from '../servers/redis-server.ts';
import { SilentProxy } from './silent-proxy.ts';

let server: RedisServer;
let cluster: RedisServer;
let direct: Redis;
/** What closes the clients that the tests have opened. */
const closing: (() => unknown)[] = [];

test.before(async () => {
  server = await RedisServer.start();
  cluster = await RedisServer.start({ extraArgs: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'] });
  direct = openIoredis(server.url);
  const node = openIoredis(cluster.url);
  await node.cluster('ADDSLOTSRANGE', 0, 16_383);
  while (!(await node.cluster('INFO')).includes('cluster_state:ok')) await sleep(20);
});

test.after.always(async () => {
  for (const close of closing) await close();
  await server?.[Symbol.asyncDispose]();
  await cluster?.[Symbol.asyncDispose]();
});

/** All these clients connect at once, and share the processors. Only where time is the matter is it to be short. */
function guardOn(redis: RedisClient, options: RedisGuardOptions = {}): RedisGuard {
  return redisGuard(redis, { timeoutMs: 30_000, ...options });
}

function openIoredis(url: string): Redis {
  const redis = new Redis(url);
  redis.on('error', () => undefined);
  closing.push(() => redis.disconnect());
  return redis;
}

const clients = {
  ioredis: async () => openIoredis(server.url),
  'node-redis': async () => {
    const client = await createClient({ url: server.url }).connect();
    closing.push(() => client.destroy());
    return client;
  },
  'node-redis with RESP2': async () => {
    const client = await createClient({ url: server.url, RESP: 2 }).connect();
    closing.push(() => client.destroy());
    return client;
  },
  'a pool of node-redis': async () => {
    const pool = createClientPool({ url: server.url });
    await pool.connect();
    closing.push(() => pool.destroy());
    return pool;
  },
  'a cluster of ioredis': async () => {
    const client = new Cluster([{ host: cluster.host, port: cluster.port }]);
    closing.push(() => client.disconnect());
    return client;
  },
  'a cluster of node-redis': async () => {
    const client = await createCluster({ rootNodes: [{ url: cluster.url }] }).connect();
    closing.push(() => client.destroy());
    return client;
  },
} satisfies Record<string, () => Promise<RedisClient>>;

async function open(name: keyof typeof clients): Promise<RedisClient> {
  return await clients[name]();
}

for (const name of Object.keys(clients) as (keyof typeof clients)[]) {
  test(`${name}: a lost update is prevented, since the successor's read shuts out the older holder`, async (t) => {
    const older = guardOn(await open(name));
    const newer = guardOn(await open(name));
    const resource = `lost by ${name}`;
    t.is(await older.get(resource, 1n), undefined);
    await older.set(resource, 'of older', 1n);
    t.is(await newer.get(resource, 2n), 'of older');

    const error = await t.throwsAsync(older.set(resource, 'too late', 1n), { instanceOf: StaleTokenError });
    t.like(error, { resource, token: 1n, highest: 2n });
    await t.throwsAsync(older.get(resource, 1n), { instanceOf: StaleTokenError });
    await t.throwsAsync(older.check(resource, 1n), { instanceOf: StaleTokenError });
    await newer.set(resource, 'of newer', 2n);
    t.is(await newer.get(resource, 2n), 'of newer');
  });

  test(`${name}: tokens compare as integers of 64 bits, not as doubles and not as text`, async (t) => {
    const guard = guardOn(await open(name));
    const ascending = [1n, 9n, 10n, 99n, 100n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 60n, 2n ** 60n + 1n, 2n ** 63n - 1n];
    for (const [index, token] of ascending.entries()) {
      const resource = `order ${index} by ${name}`;
      await guard.check(resource, token);
      await guard.check(resource, token);
      const smaller = ascending[index - 1];
      if (smaller === undefined) continue;
      const error = await t.throwsAsync(guard.check(resource, smaller), { instanceOf: StaleTokenError });
      t.is(error?.highest, token);
    }
  });

  test(`${name}: a script runs after the check, with keys and arguments of its own`, async (t) => {
    const guard = guardOn(await open(name));
    const resource = `script} by {${name}`;
    const key = guard.keys(resource).value;
    const script = `
      local count = redis.call('INCRBY', KEYS[1], ARGV[1])
      return { count, #KEYS, #ARGV } -- a comment at the end`;
    t.deepEqual(await guard.run(resource, 3n, script, { keys: [key], args: ['5'] }), [5, 1, 1]);
    await t.throwsAsync(guard.run(resource, 2n, script, { keys: [key], args: ['5'] }), { instanceOf: StaleTokenError });
    t.is(await guard.get(resource, 3n), '5');
    t.is(await guard.run(resource, 3n, "return redis.call('GET', KEYS[1])", { keys: [key] }), '5');
    t.is(await guard.run(resource, 3n, 'return'), undefined);
    t.deepEqual(await guard.run(resource, 3n, "return redis.status_reply('PONG')"), 'PONG');
  });

  test(`${name}: a script with an idempotency key runs once, and what it returned is remembered`, async (t) => {
    const guard = guardOn(await open(name));
    const resource = `once by ${name}`;
    const keys = [guard.keys(resource).value];
    const run = (token: bigint, idempotencyKey: string, script: string) =>
      guard.run(resource, token, script, { keys, args: ['5'], idempotencyKey });
    const raise = "return { redis.call('INCRBY', KEYS[1], ARGV[1]), 'a\\0b', #KEYS }";
    const first = await run(3n, 'pay 42', raise);
    t.deepEqual(await run(3n, 'pay 42', raise), first);
    t.deepEqual(await run(4n, 'pay 42', raise), first, 'a later holder takes it up');
    t.is(await guard.get(resource, 4n), '5');
    await t.throwsAsync(run(3n, 'pay 42', raise), { instanceOf: StaleTokenError });
    await run(4n, 'pay 43', raise);
    t.is(await guard.get(resource, 4n), '10');
    t.is(await run(4n, 'nothing', 'return'), undefined);
    t.is(await run(4n, 'nothing', "return redis.call('INCRBY', KEYS[1], 1)"), undefined);
    await t.throwsAsync(run(4n, 'fails', "return redis.error_reply('ERR not today')"), { message: /not today/ });
    t.is(await run(4n, 'fails', 'return 1'), 1, 'what failed is not remembered');
  });

  test(`${name}: an error of the script is the client's own, and no unknown outcome`, async (t) => {
    const guard = guardOn(await open(name));
    const resource = `error by ${name}`;
    await t.throwsAsync(guard.run(resource, 1n, "return redis.error_reply('BROKEN by the script')"), {
      message: /BROKEN/,
    });
    await t.throwsAsync(guard.run(resource, 1n, "\n\nerror('in the third line')"), {
      message: /:3: in the third line/,
    });
    await t.throwsAsync(guard.run(resource, 1n, 'this is no Lua'), { message: /user_script:1/ });
  });
}

test('what is under the key of a fence and no token refuses everything', async (t) => {
  const guard = guardOn(direct);
  for (const [index, content] of ['', '0', '01', '-1', '1.5', '1e3', 'x', '99999999999999999999'].entries()) {
    await direct.set(guard.keys(`corrupt ${index}`).fence, content);
    await t.throwsAsync(guard.set(`corrupt ${index}`, 'x', 2n ** 62n), { message: /no fencing token/ });
    t.is(await direct.get(guard.keys(`corrupt ${index}`).value), null);
  }
  await direct.lpush(guard.keys('list').fence, '1');
  await t.throwsAsync(guard.check('list', 2n), { message: /WRONGTYPE/ });
});

test('a value is text of any length and content', async (t) => {
  const guard = guardOn(direct);
  for (const value of ['', 'é🔒\0\r\n', 'x'.repeat(1_000_000)]) {
    await guard.set('text', value, 1n);
    t.is(await guard.get('text', 1n), value);
  }
});

test('guards with different prefixes do not see each other, and a fence never expires', async (t) => {
  await guardOn(direct, { prefix: 'a:' }).check('prefix', 2n);
  await t.notThrowsAsync(guardOn(direct, { prefix: 'b:' }).check('prefix', 1n));
  const { fence } = guardOn(direct, { prefix: 'a:' }).keys('prefix');
  await direct.expire(fence, 1_000);
  await guardOn(direct, { prefix: 'a:' }).check('prefix', 3n);
  t.is(await direct.ttl(fence), -1);
});

test('tokens presented from many connections leave the greatest, with its value', async (t) => {
  const base = 2n ** 60n;
  const connections = Array.from({ length: 10 }, async (_, connection) => {
    const guard = guardOn(await open(connection % 2 === 0 ? 'ioredis' : 'node-redis'));
    const tokens = Array.from({ length: 50 }, (_, index) => base + BigInt(((index * 10 + connection) * 7919) % 500));
    return await Promise.allSettled(tokens.map((token) => guard.set('many', token.toString(), token)));
  });
  const outcomes = (await Promise.all(connections)).flat();
  for (const outcome of outcomes) t.true(outcome.status === 'fulfilled' || outcome.reason instanceof StaleTokenError);
  const greatest = (base + 499n).toString();
  t.is(await direct.get(guardOn(direct).keys('many').fence), greatest);
  t.is(await direct.get(guardOn(direct).keys('many').value), greatest);
});

test.serial('a fence survives a kill of a Redis that keeps an append-only file', async (t) => {
  const guard = guardOn(direct);
  await guard.set('survives', 'of newer', 2n);
  await server.restart({ signal: 'SIGKILL' });
  await t.throwsAsync(guard.set('survives', 'too late', 1n), { instanceOf: StaleTokenError });
  t.is(await guard.get('survives', 2n), 'of newer');
});

test.serial('the documented limit: a Redis that forgot the fence accepts an older holder', async (t) => {
  const guard = guardOn(direct);
  await guard.check('forgot', 2n);
  await direct.del(guard.keys('forgot').fence);
  await t.notThrowsAsync(guard.check('forgot', 1n));
});

for (const name of ['ioredis', 'node-redis'] as const) {
  test.serial(
    `${name}: a write to a Redis that is paused is an unknown outcome in time, and is applied later`,
    async (t) => {
      const redis = await (clients[name] as () => Promise<RedisClient>)();
      await guardOn(redis).check(`paused ${name}`, 1n);
      const guard = guardOn(redis, { timeoutMs: 300 });
      server.pause();
      try {
        await t.throwsAsync(guard.set(`paused ${name}`, 'late', 1n), { instanceOf: OutcomeUnknownError });
      } finally {
        server.resume();
      }
      t.is(await guardOn(direct).get(`paused ${name}`, 1n), 'late');
    },
  );

  test.serial(
    `${name}: a connection cut before the answer is an unknown outcome, or the answer of a repetition`,
    async (t) => {
      await using proxy = await SilentProxy.start(server.port);
      const { redis, close } = await openThrough(name, proxy);
      const guard = guardOn(redis);
      const resource = `cut ${name}`;
      await guard.check(resource, 1n);

      // Applied, but the answer is lost. Before the client learns that, a newer holder comes.
      proxy.dropAnswers();
      const write = guard.set(resource, 'of older', 1n);
      while ((await direct.get(guard.keys(resource).value)) === null) await sleep(5);
      await guardOn(direct).check(resource, 2n);
      proxy.heal();
      proxy.cut();
      // ioredis sends the write again and is refused: to say "nothing was written" would be wrong.
      const error = await t.throwsAsync(write, { instanceOf: OutcomeUnknownError });
      t.is(error?.cause instanceof StaleTokenError, name === 'ioredis');
      // With the newer token known, a refusal is a refusal again.
      await t.throwsAsync(guard.set(resource, 'too late', 1n), { instanceOf: StaleTokenError });
      close();
    },
  );
}

test('ioredis: a call that waited for a connection is refused as any other, however often none was made', async (t) => {
  await guardOn(direct).check('waited', 2n);
  const [port] = (await freePorts(1)) as [number];
  const redis = openIoredis(`redis://127.0.0.1:${port}`);
  let failures = 0;
  redis.on('close', () => (failures += 1));
  const refused = t.throwsAsync(guardOn(redis).set('waited', 'too late', 1n), { instanceOf: StaleTokenError });
  await until('two connections that are refused', () => failures >= 2);
  await using _proxy = await SilentProxy.start(server.port, port);
  await refused;
});

async function openThrough(
  name: 'ioredis' | 'node-redis',
  proxy: SilentProxy,
): Promise<{ redis: RedisClient; close: () => void }> {
  const url = `redis://127.0.0.1:${proxy.port}`;
  if (name === 'ioredis') {
    const redis = openIoredis(url);
    return { redis, close: () => redis.disconnect() };
  }
  const client = createClient({ url });
  client.on('error', () => undefined);
  await client.connect();
  return { redis: client, close: () => client.destroy() };
}
