import test, { type ExecutionContext } from 'ava';
import {
  ClosedError,
  CoordinationUnavailableError,
  LimitExceededError,
  LockLostError,
  LockTimeoutError,
  OutcomeUnknownError,
  SelfDeadlockError,
} from '../errors.ts';
import { unpackToken } from '../queue/token.ts';
import { sleep } from '../runtime/clock.ts';
import { VirtualWorld, type Process } from '../testing/virtual-world.ts';
import type { Turn } from './turn.ts';

const RECORD = 'test/once/a';
const TURNS = 'test/once-turn/a/';

async function two(): Promise<{ readonly world: VirtualWorld; readonly one: Process; readonly other: Process }> {
  const world = new VirtualWorld();
  return { world, one: await world.connect(), other: await world.connect() };
}

/** Counts the calls of one process. */
function callsOf({ store }: Process): string[] {
  const calls: string[] = [];
  store.faults.onRequest(({ method }) => {
    calls.push(method);
    return undefined;
  });
  return calls;
}

/** Work that ends when it is told to. */
function untilTold({ signal }: Turn): Promise<string> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve('told'), { once: true });
  });
}

function leaseOf({ coordinator }: Process): bigint {
  return BigInt(`0x${coordinator.session?.lease ?? '0'}`);
}

/** Nothing is left but what is on record. */
async function checkTidy(t: ExecutionContext, world: VirtualWorld, records: number): Promise<void> {
  await world.advance(1_000);
  t.deepEqual(world.cluster.entries(TURNS), []);
  t.is(world.cluster.entries('test/once/').length, records);
}

test('twenty callers in three processes: the work is done once, and all get its result', async (t) => {
  const { world, one, other } = await two();
  const all = [one, other, await world.connect()];
  let done = 0;
  const results = await world.settle(
    Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        all[index % 3]!.coordinator.once('a', async () => {
          await sleep(world.runtime.clock, 300);
          done += 1;
          return { bucket: `b${done}` };
        }),
      ),
    ),
  );
  t.is(done, 1);
  for (const result of results) t.deepEqual(result, { bucket: 'b1' });
  await checkTidy(t, world, 1);
});

test('done work is one transaction; the first time takes five and a lease', async (t) => {
  const { world, one, other } = await two();
  const first = callsOf(one);
  await world.settle(one.coordinator.once('a', () => 1));
  t.deepEqual(first, ['transact', 'transact', 'transact', 'grant', 'transact', 'transact']);
  const later = callsOf(other);
  t.is(await world.settle(other.coordinator.once('a', () => 2)), 1);
  t.deepEqual(later, ['transact']);
});

test('the work is told its key and a token that rises, and may compare its turn', async (t) => {
  const { world, one, other } = await two();
  const tokens: bigint[] = [];
  const work = (turn: Turn): void => {
    t.is(turn.key, 'a');
    t.true(turn.isHeld());
    t.true(turn.remainingMs() > 0);
    turn.assertHeld();
    const [compare] = turn.ifHeld();
    t.is(world.cluster.get(compare!.key)?.createRevision, compare!.createRevision);
    t.deepEqual(JSON.parse(JSON.stringify(turn)), { key: 'a', token: String(turn.token) });
    tokens.push(turn.token);
  };
  await world.settle(one.coordinator.once('a', work));
  await world.settle(one.coordinator.forgetOnce('a'));
  await world.settle(other.coordinator.once('a', work));
  t.true(tokens[1]! > tokens[0]!);
  t.is(tokens.length, 2);
});

test('the record says who did it, under which token, and is on a lease of its own', async (t) => {
  const { world, one } = await two();
  await world.settle(one.coordinator.once('a', ({ token }) => ({ token: String(token) }), { ttlMs: 90_500 }));
  const { value, lease } = world.cluster.get(RECORD)!;
  const { by, token, value: result } = JSON.parse(value) as { by: string; token: string; value: { token: string } };
  t.is(by, one.coordinator.instanceId);
  t.is(result.token, token);
  t.not(lease, leaseOf(one));
  t.is(world.cluster.lease(lease)?.ttlMs, 91_000);
  await world.settle(one.coordinator.close());
  t.truthy(world.cluster.get(RECORD));
});

test('when the record has ended, the work is done again', async (t) => {
  const { world, one, other } = await two();
  t.is(await world.settle(one.coordinator.once('a', () => 1, { ttlMs: 2_000 })), 1);
  await world.advance(1_500);
  t.is(await world.settle(other.coordinator.once('a', () => 2, { ttlMs: 2_000 })), 1);
  await world.advance(2_000);
  t.is(await world.settle(other.coordinator.once('a', () => 3, { ttlMs: 2_000 })), 3);
});

test('work that throws is not recorded: the call rejects with its error, and the next one tries', async (t) => {
  const { world, one, other } = await two();
  const begun = one.coordinator.once('a', async () => {
    await sleep(world.runtime.clock, 200);
    throw new Error('no bucket today');
  });
  const waiting = other.coordinator.once('a', () => 'a bucket');
  await t.throwsAsync(world.settle(begun), { message: 'no bucket today' });
  t.is(await world.settle(waiting), 'a bucket');
  await checkTidy(t, world, 1);
});

test('a turn is not passed on within a process: what one has sent cannot pass for the next one', async (t) => {
  const { world, one } = await two();
  const keys = new Set<string>();
  const failing = Array.from({ length: 3 }, () =>
    one.coordinator.once('a', ({ token }) => {
      t.is(unpackToken(token).handoff, 0);
      for (const { key } of world.cluster.entries(TURNS)) keys.add(key);
      throw new Error('no luck');
    }),
  );
  await world.settle(Promise.allSettled(failing));
  t.is(keys.size, 3);
});

test('a turn that is lost under its work: nothing is recorded, and somebody else does it', async (t) => {
  const { world, one, other } = await two();
  const done: string[] = [];
  const lost = one.coordinator.once('a', async (turn) => {
    await untilTold(turn);
    t.true(turn.signal.reason instanceof LockLostError);
    done.push('one');
    throw new Error('stopped half way');
  });
  await world.advance(100);
  const waiting = other.coordinator.once('a', () => {
    done.push('other');
    return 'by other';
  });
  await world.advance(100);
  world.cluster.revoke(leaseOf(one));
  const error = await t.throwsAsync(world.settle(lost), { instanceOf: LockLostError });
  t.like(error?.cause, { message: 'stopped half way' });
  t.is(await world.settle(waiting), 'by other');
  t.deepEqual(done, ['one', 'other']);
});

test('work that returns after its turn was lost is not recorded either', async (t) => {
  const { world, one } = await two();
  const lost = one.coordinator.once('a', async (turn) => {
    world.cluster.delete(turn.ifHeld()[0]!.key);
    await sleep(world.runtime.clock, 2_000);
    return 'too late';
  });
  await t.throwsAsync(world.settle(lost), { instanceOf: LockLostError, message: /not recorded/ });
  await checkTidy(t, world, 0);
});

test('a turn that nobody knows to be lost does not record, nor over what another has recorded', async (t) => {
  for (const another of [undefined, '{"value":"by another","by":"x","token":"7"}']) {
    const { world, one } = await two();
    const result = one.coordinator.once('a', (turn) => {
      world.cluster.delete(turn.ifHeld()[0]!.key);
      if (another !== undefined) world.cluster.put(RECORD, another);
      return 'too late';
    });
    if (another === undefined) {
      await t.throwsAsync(world.settle(result), { instanceOf: LockLostError, message: /was done, but not recorded/ });
      t.is(world.cluster.get(RECORD), undefined);
    } else {
      t.is(await world.settle(result), 'by another');
    }
    await world.advance(1_000);
    t.is(world.cluster.leases.length, 2, 'the lease that nothing came to be on is gone');
  }
});

test('a record that was not answered is settled: the work is not done again', async (t) => {
  for (const fault of ['request', 'response'] as const) {
    const { world, one, other } = await two();
    let done = 0;
    const work = (): number => {
      done += 1;
      if (fault === 'request') one.store.faults.nextRequest('transact', 'drop');
      else one.store.faults.nextResponse('transact', 'drop');
      return done;
    };
    t.is(await world.settle(one.coordinator.once('a', work)), 1);
    t.is(await world.settle(other.coordinator.once('a', work)), 1);
    t.is(done, 1);
    await checkTidy(t, world, 1);
  }
});

test('a grant that was not answered is repeated, and leaves no second lease', async (t) => {
  const { world, one } = await two();
  one.store.faults.nextResponse('grant', 'drop');
  t.is(await world.settle(one.coordinator.once('a', () => 1)), 1);
  t.is(world.cluster.leases.length, 3);
});

test('a lease that ends before the record is on it is replaced, and does not cost the session', async (t) => {
  const world = new VirtualWorld();
  const one = await world.connect({ request: { timeoutMs: 4_000, deadlineMs: 12_000 } });
  const { lease } = one.coordinator.session!;
  const calls = callsOf(one);
  one.store.faults.nextResponse('grant', { delayMs: 3_500 });
  t.is(await world.settle(one.coordinator.once('a', () => 1, { ttlMs: 1_000 })), 1);
  t.is(calls.filter((method) => method === 'grant').length, 2);
  t.is(one.coordinator.session?.lease, lease);
});

test('what nobody knows is said, and the next call finds out', async (t) => {
  const { world, one, other } = await two();
  let done = 0;
  const work = (): number => {
    done += 1;
    one.store.faults.onResponse(({ method }) => (method === 'transact' ? 'drop' : undefined));
    return done;
  };
  await t.throwsAsync(world.settle(one.coordinator.once('a', work)), {
    instanceOf: OutcomeUnknownError,
    message: /was done/,
  });
  t.is(await world.settle(other.coordinator.once('a', work)), 1);
  t.is(done, 1);
});

test('without an answer to the grant it is certain that nothing is recorded', async (t) => {
  const { world, one } = await two();
  const result = one.coordinator.once('a', () => {
    one.store.faults.onRequest(({ method }) => (method === 'grant' ? 'drop' : undefined));
  });
  await t.throwsAsync(world.settle(result), {
    instanceOf: CoordinationUnavailableError,
    message: /was done, and is not/,
  });
  await checkTidy(t, world, 0);
});

test('a process that dies between effect and record: the work is done again, with the same key', async (t) => {
  const { world, one, other } = await two();
  const effects: string[] = [];
  void one.coordinator.once('a', ({ key }) => {
    effects.push(key);
    one.store.faults.cutOff();
    return new Promise(() => {});
  });
  await world.advance(100);
  t.deepEqual(effects, ['a']);
  const again = other.coordinator.once('a', ({ key }) => {
    effects.push(key);
    return 'again';
  });
  t.is(await world.settle(again), 'again');
  t.deepEqual(effects, ['a', 'a']);
});

test('a record that arrives a second time does not come back after it was taken back', async (t) => {
  const { world, one } = await two();
  await world.settle(
    one.coordinator.once('a', () => {
      one.store.faults.onRequest(({ method }) => (method === 'transact' ? { duplicateAfterMs: 1_000 } : undefined));
      return 'wrong';
    }),
  );
  one.store.faults.heal();
  world.cluster.delete(RECORD);
  await world.advance(2_000);
  t.is(world.cluster.get(RECORD), undefined);
});

for (const value of [undefined, null, 0, '', false, 'text', [1, [null]], { a: { b: [] } }]) {
  test(`everybody gets ${JSON.stringify(value)}`, async (t) => {
    const { world, one, other } = await two();
    t.deepEqual(await world.settle(one.coordinator.once<unknown>('a', () => value)), value);
    const later = other.coordinator.once<unknown>('a', () => t.fail());
    t.deepEqual(await world.settle(later), value);
  });
}

test('who did the work gets what all others get: a copy', async (t) => {
  const { world, one } = await two();
  const value = { name: 'b', note: undefined };
  const result = await world.settle(one.coordinator.once('a', () => value));
  t.not(result, value);
  t.deepEqual(Object.keys(result), ['name']);
});

const cyclic: { self?: unknown } = {};
cyclic.self = cyclic;
for (const [what, value] of Object.entries({
  'a bigint': 7n,
  'a function': () => {},
  'not a number': { rate: Number.NaN },
  'a date': { at: new Date(0) },
  'a map': new Map(),
  'a hole': [undefined],
  'a cycle': cyclic,
})) {
  test(`${what} is no JSON: the call says that the work was done and is not recorded`, async (t) => {
    const { world, one } = await two();
    await t.throwsAsync(world.settle(one.coordinator.once<unknown>('a', () => value)), {
      instanceOf: TypeError,
      message: /once "a" to be JSON.*was done and is not recorded/,
    });
    await checkTidy(t, world, 0);
  });
}

test('64 KiB of JSON are taken, and not a byte more', async (t) => {
  const { world, one } = await two();
  const most = 'x'.repeat(64 * 1_024 - 2);
  await t.throwsAsync(world.settle(one.coordinator.once('a', () => `${most}x`)), {
    instanceOf: LimitExceededError,
    message: /65536 bytes of JSON, got 65537.*was done and is not recorded/,
  });
  t.is(await world.settle(one.coordinator.once('a', () => most)), most);
});

test('what is no record is neither a result nor overwritten, until it is taken back', async (t) => {
  const { world, one } = await two();
  for (const text of ['not JSON', '7', 'null', '{"value":1}']) {
    world.cluster.put(RECORD, text);
    await t.throwsAsync(world.settle(one.coordinator.once('a', () => 1)), {
      instanceOf: TypeError,
      message: /test\/once\/a.*forgetOnce/,
    });
    t.is(world.cluster.get(RECORD)?.value, text);
  }
  await world.settle(one.coordinator.forgetOnce('a'));
  t.is(await world.settle(one.coordinator.once('a', () => 1)), 1);
});

test('while somebody else is at it, timeoutMs ends the waiting; an outage has another error', async (t) => {
  const { world, one, other } = await two();
  const first = one.coordinator.once('a', () => sleep(world.runtime.clock, 3_000));
  await world.advance(100);
  await t.throwsAsync(world.settle(other.coordinator.once('a', () => t.fail(), { timeoutMs: 500 })), {
    instanceOf: LockTimeoutError,
    message: /under way elsewhere for all of the 500 ms/,
  });
  await world.settle(first);
  other.store.faults.cutOff();
  await t.throwsAsync(world.settle(other.coordinator.once('b', () => t.fail(), { timeoutMs: 500 })), {
    instanceOf: CoordinationUnavailableError,
  });
});

test('whose turn has come in time gets the result, and is not told that etcd does not answer', async (t) => {
  const { world, one, other } = await two();
  other.store.faults.onRequest(() => ({ delayMs: 50 }));
  const first = one.coordinator.once('a', async () => {
    await sleep(world.runtime.clock, 500);
    return 'done';
  });
  /* Its time is over 20 ms after its turn has come, and the look takes 50. */
  const second = other.coordinator.once('a', () => t.fail(), { timeoutMs: 520 });
  t.deepEqual(await world.settle(Promise.all([first, second])), ['done', 'done']);
});

test('degraded refuses at once, unless the caller waits for the recovery', async (t) => {
  const { world, one } = await two();
  const restore = one.store.faults.cutOff();
  await world.advance(6_000);
  t.is(one.coordinator.health.state, 'degraded');
  const calls = callsOf(one);
  await t.throwsAsync(
    one.coordinator.once('a', () => t.fail()),
    { instanceOf: CoordinationUnavailableError },
  );
  await t.throwsAsync(one.coordinator.forgetOnce('a'), { instanceOf: CoordinationUnavailableError });
  t.false(calls.includes('transact'));
  const patient = one.coordinator.once('a', () => 1, { waitForRecovery: true });
  await world.advance(30_000);
  restore();
  t.is(await world.settle(patient), 1);
});

test('a turn that is lost before its work begins is no failure: it is waited for again', async (t) => {
  const { world, one } = await two();
  let looks = 0;
  one.store.faults.onRequest((call) => {
    if (call.method !== 'transact' || !call.transaction.then.some(({ type }) => type === 'delete')) return undefined;
    looks += 1;
    if (looks !== 2) return undefined;
    world.cluster.revoke(leaseOf(one));
    return { delayMs: 100 };
  });
  let done = 0;
  const work = (turn: Turn): number => {
    turn.assertHeld();
    done += 1;
    return done;
  };
  t.is(await world.settle(one.coordinator.once('a', work)), 1);
  t.true(looks > 2);
});

test('a signal that has aborted before sends nothing, and one that aborts later ends the waiting', async (t) => {
  const { world, one, other } = await two();
  const calls = callsOf(other);
  const aborted = AbortSignal.abort(new Error('never mind'));
  await t.throwsAsync(
    other.coordinator.once('a', () => t.fail(), { signal: aborted }),
    { message: 'never mind' },
  );
  await t.throwsAsync(other.coordinator.forgetOnce('a', { signal: aborted }), { message: 'never mind' });
  t.deepEqual(calls, []);
  const first = one.coordinator.once('a', () => sleep(world.runtime.clock, 3_000));
  await world.advance(100);
  const abort = new AbortController();
  const waiting = other.coordinator.once('a', () => t.fail(), { signal: abort.signal });
  await world.advance(100);
  abort.abort(new Error('no longer'));
  await t.throwsAsync(world.settle(waiting), { message: 'no longer' });
  await world.settle(first);
  await checkTidy(t, world, 1);
});

test('the signal tells the work to stop; what it returns all the same is recorded', async (t) => {
  const { world, one, other } = await two();
  const abort = new AbortController();
  world.runtime.clock.schedule(500, () => abort.abort(new Error('enough')));
  const stopped = one.coordinator.once('a', ({ signal }) => sleep(world.runtime.clock, 3_000, signal), {
    signal: abort.signal,
  });
  await t.throwsAsync(world.settle(stopped), { message: 'enough' });
  const later = new AbortController();
  world.runtime.clock.schedule(500, () => later.abort(new Error('enough')));
  t.is(await world.settle(one.coordinator.once('a', untilTold, { signal: later.signal })), 'told');
  t.is(await world.settle(other.coordinator.once('a', () => 'again')), 'told');
});

test('work that asks for its own result is told at once; other keys, and what it left behind, may ask', async (t) => {
  const { world, one, other } = await two();
  let after: Promise<string> | undefined;
  const result = await world.settle(
    one.coordinator.once('a', async () => {
      await t.throwsAsync(
        one.coordinator.once('a', () => t.fail()),
        { instanceOf: SelfDeadlockError },
      );
      const inner = await one.coordinator.once('b', () => 'inner');
      await one.coordinator.once('c', () => 'c');
      after = sleep(world.runtime.clock, 1_000).then(() => one.coordinator.once('a', () => 'outside'));
      return inner;
    }),
  );
  t.is(result, 'inner');
  t.is(await world.settle(after!), 'inner');
  t.is(await world.settle(other.coordinator.once('b', () => 'again')), 'inner');
});

test('what was taken back is done again', async (t) => {
  const { world, one, other } = await two();
  await world.settle(one.coordinator.once('a', () => 'wrong'));
  await world.settle(other.coordinator.forgetOnce('a'));
  await world.settle(other.coordinator.forgetOnce('a'));
  t.is(await world.settle(one.coordinator.once('a', () => 'right')), 'right');
});

test('closing tells the work to stop, waits for it, and what it returns in time is recorded', async (t) => {
  const { world, one, other } = await two();
  const running = one.coordinator.once('a', untilTold);
  await world.advance(100);
  const waiting = one.coordinator.once('a', () => t.fail());
  const refused = t.throwsAsync(waiting, { instanceOf: ClosedError });
  await world.advance(100);
  await world.settle(one.coordinator.close());
  await refused;
  t.is(await running, 'told');
  t.is(await world.settle(other.coordinator.once('a', () => 'again')), 'told');
  await t.throwsAsync(
    one.coordinator.once('a', () => t.fail()),
    { instanceOf: ClosedError },
  );
  await t.throwsAsync(one.coordinator.forgetOnce('a'), { instanceOf: ClosedError });
});

test('what cannot be is refused by its name, before anything is sent', async (t) => {
  const { one } = await two();
  const calls = callsOf(one);
  const once = (key: unknown, work: unknown, options: object): Promise<unknown> =>
    one.coordinator.once(key as string, work as () => void, options);
  const work = (): void => t.fail();
  await t.throwsAsync(once('', work, {}), { instanceOf: TypeError, message: /the key of once/ });
  await t.throwsAsync(once('a', 'work', {}), { instanceOf: TypeError, message: /the work of once/ });
  await t.throwsAsync(once('a', work, { ttl: 1 }), { instanceOf: TypeError, message: /"ttl"/ });
  await t.throwsAsync(once('a', work, { ttlMs: 999 }), { instanceOf: RangeError, message: /ttlMs/ });
  await t.throwsAsync(once('a', work, { ttlMs: 30 * 86_400_000 + 1 }), { instanceOf: RangeError, message: /ttlMs/ });
  await t.throwsAsync(once('a', work, { timeoutMs: -1 }), { instanceOf: RangeError, message: /timeoutMs/ });
  await t.throwsAsync(once('a', work, { waitForRecovery: 1 }), { instanceOf: TypeError, message: /waitForRecovery/ });
  t.deepEqual(calls, []);
});
