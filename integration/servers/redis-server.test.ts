import test from 'ava';
import { Redis } from 'ioredis';
import { RedisServer } from './redis-server.ts';

test('a Redis answers, keeps its data over a kill and a restart, and is gone when disposed', async (t) => {
  const server = await RedisServer.start();
  const redis = new Redis(server.url, { lazyConnect: true });
  await redis.connect();
  await redis.set('kept', 'yes');
  redis.disconnect();

  await server.restart({ signal: 'SIGKILL' });
  const again = new Redis(server.url, { lazyConnect: true });
  await again.connect();
  t.is(await again.get('kept'), 'yes');
  again.disconnect();

  const { pid } = server;
  await server[Symbol.asyncDispose]();
  t.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
});
