/**
 * What a read from memory costs beside a bare `Map.get` and `lru-cache`: one hot key, and 10,000 keys in a shuffled order. Every contestant
 * has a loop of its own, which V8 compiles for it alone, and adds up what it has read: a loop whose outcome nobody asks for would not
 * be run. The loop itself, one to two nanoseconds, is in all of them. All keys are copies, so none is found by being the same object.
 */
import { Etcd3 } from 'etcd3';
import { LRUCache } from 'lru-cache';
import { createCoordinator, type Cache, type Config, type ConfigOptions, type Coordinator } from '../lib/index.ts';
import type { Finding } from './findings.ts';
import { inRounds, spreadOf, timeOf, type Contestant, type Round } from './rounds.ts';
import { copyOf, seed, seedKeys } from './seed.ts';

export interface ReadOptions {
  readonly endpoint: string;
  readonly rounds: number;
  readonly turns: number;
}

const KEYS = 10_000;
const VALUE = 'http://10.0.0.1:8080';

/** A config has no key that could vary; so several take turns, or the one read would be taken out of the loop. */
const CONFIGS = 4;

/** The loops block the event loop for seconds, in which no proof can come; that is not to be too old. */
const STRICT = { onStale: 'throw', maxStalenessMs: 3_600_000 } as const;

/** The fixed part of the target, in milliseconds: 20 ns. */
const ALLOWANCE_MS = 20 / 1e6;

export async function reads({ endpoint, rounds, turns }: ReadOptions): Promise<readonly Finding[]> {
  const raw = new Etcd3({ hosts: endpoint });
  await using coordinator = createCoordinator({ endpoints: endpoint, namespace: 'bench-reads' });
  try {
    const keys = seedKeys(KEYS);
    await seed(raw, 'bench-reads/cache/users/', keys, () => VALUE);
    const cache = coordinator.cache('users/');
    const strictCache = coordinator.cache('users/', STRICT);
    const configs = configsOf(coordinator, {});
    const strictConfigs = configsOf(coordinator, STRICT);
    await configs[0]?.set(VALUE);
    await Promise.all([cache, strictCache].map((each) => each.ready({ timeoutMs: 30_000 })));
    await Promise.all([...configs, ...strictConfigs].map(untilThere));

    const map = new Map(keys.map((key) => [copyOf(key), VALUE]));
    const lru = new LRUCache<string, string>({ max: KEYS });
    for (const key of keys) lru.set(copyOf(key), VALUE);

    const hotKey = copyOf(keys[KEYS / 2] ?? '');
    const hot = keys.map(() => hotKey);
    const spread = shuffled(keys.map(copyOf));
    const manyConfigs = keys.map((_, index) => configs[index % CONFIGS] as Config<string, string>);
    const manyStrictConfigs = keys.map((_, index) => strictConfigs[index % CONFIGS] as Config<string, string>);
    const contestant = (name: string, passOver: () => number): Contestant => ({
      name,
      run(count) {
        for (let left = count; left > 0; left -= KEYS) {
          const read = passOver();
          if (read !== KEYS * VALUE.length) throw new Error(`${name} has read ${read} characters`);
        }
      },
    });
    const results = await inRounds(
      [
        contestant('clock', () => overClock(hot)),
        contestant('Map', () => overMap(map, hot)),
        contestant('lru', () => overLru(lru, hot)),
        contestant('cache', () => overCache(cache, hot)),
        contestant('strict cache', () => overStrictCache(strictCache, hot)),
        contestant('config', () => overConfig(manyConfigs)),
        contestant('strict config', () => overStrictConfig(manyStrictConfigs)),
        contestant('Map, spread', () => overMap(map, spread)),
        contestant('lru, spread', () => overLru(lru, spread)),
        contestant('cache, spread', () => overCache(cache, spread)),
        contestant('strict cache, spread', () => overStrictCache(strictCache, spread)),
      ],
      { rounds, turns, operations: KEYS },
    );
    return findingsOf(results);
  } finally {
    raw.close();
  }
}

function findingsOf(rounds: readonly Round[]): readonly Finding[] {
  const budget = (round: Round): number => 2 * timeOf(round, 'Map') + ALLOWANCE_MS;
  const strictBudget = (round: Round): number => budget(round) + timeOf(round, 'clock');
  const against = (what: string, name: string, limit: (round: Round) => number, bounded = true): Finding => ({
    what,
    measured: spreadOf(rounds, (round) => timeOf(round, name) / limit(round)),
    ...(bounded ? { target: { atMost: 1 } } : {}),
  });
  const times = (what: string, name: string, limit: string): Finding =>
    against(what, name, (round) => timeOf(round, limit), false);
  return [
    times('`cache.get`, hot key: hot `Map.get`s', 'cache', 'Map'),
    times('`cache.get`, hot key: hot `lru-cache` gets', 'cache', 'lru'),
    against('`cache.get`, hot key: of (2 hot `Map.get` + 20 ns)', 'cache', budget),
    times('`cache.get`, 10,000 keys: `Map.get`s of 10,000 keys', 'cache, spread', 'Map, spread'),
    times('`cache.get`, 10,000 keys: `lru-cache` gets of 10,000 keys', 'cache, spread', 'lru, spread'),
    times('`config.get`: hot `Map.get`s', 'config', 'Map'),
    against('`config.get`: of (2 hot `Map.get` + 20 ns)', 'config', budget),
    against('strict `cache.get`, hot key: of (the same + `performance.now()`)', 'strict cache', strictBudget),
    against('strict `config.get`: of (the same + `performance.now()`)', 'strict config', strictBudget),
    times('strict `cache.get`, 10,000 keys: `Map.get`s of 10,000 keys', 'strict cache, spread', 'Map, spread'),
    {
      what: '(the scale: one hot `Map.get` of this run)',
      measured: spreadOf(rounds, (round) => timeOf(round, 'Map') * 1e6),
      unit: 'ns',
    },
  ];
}

function overClock(keys: readonly string[]): number {
  let read = 0;
  for (const key of keys) read += performance.now() > key.length ? VALUE.length : 0;
  return read;
}

function overMap(map: ReadonlyMap<string, string>, keys: readonly string[]): number {
  let read = 0;
  for (const key of keys) read += map.get(key)?.length ?? 0;
  return read;
}

function overLru(lru: LRUCache<string, string>, keys: readonly string[]): number {
  let read = 0;
  for (const key of keys) read += lru.get(key)?.length ?? 0;
  return read;
}

function overCache(cache: Cache, keys: readonly string[]): number {
  let read = 0;
  for (const key of keys) read += cache.get(key)?.value.length ?? 0;
  return read;
}

function overStrictCache(cache: Cache, keys: readonly string[]): number {
  let read = 0;
  for (const key of keys) read += cache.get(key)?.value.length ?? 0;
  return read;
}

function overConfig(configs: readonly Config<string, string>[]): number {
  let read = 0;
  for (const config of configs) read += config.get()?.value.length ?? 0;
  return read;
}

function overStrictConfig(configs: readonly Config<string, string>[]): number {
  let read = 0;
  for (const config of configs) read += config.get()?.value.length ?? 0;
  return read;
}

function configsOf(coordinator: Coordinator, options: ConfigOptions<string>): readonly Config<string, string>[] {
  return Array.from({ length: CONFIGS }, () => coordinator.config<string>('limits', options));
}

async function untilThere(config: Config<string, string>): Promise<void> {
  for await (const entry of config.watch()) if (entry !== undefined) return;
}

/** The same order in every run. */
function shuffled(keys: readonly string[]): readonly string[] {
  const rest = [...keys];
  let state = 1;
  for (let index = rest.length - 1; index > 0; index -= 1) {
    state = (state * 48_271) % 2_147_483_647;
    const other = state % (index + 1);
    [rest[index], rest[other]] = [rest[other] ?? '', rest[index] ?? ''];
  }
  return rest;
}
