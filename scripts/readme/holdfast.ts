import assert from 'node:assert/strict';
import { StaleTokenError } from 'holdfast';
import { memoryGuard } from 'holdfast/guards/memory';
import { startEmbeddedEtcd } from 'holdfast/testing';

await using etcd = await startEmbeddedEtcd();

/* A resource that refuses a smaller token than it has seen. */
const guard = memoryGuard();
const settled: bigint[] = [];
const invoices = {
  async settle(invoice: string, token: bigint, { signal }: { signal: AbortSignal }) {
    guard.check(invoice, token);
    assert.equal(signal.aborted, false);
    settled.push(token);
  },
};

// The snippet.

assert.equal(settled.length, 1);
const { signal } = new AbortController();
await coordinator.lock('invoice:42').with((held) => invoices.settle('42', held.token, { signal }));
const [first = 0n, second = 0n] = settled;
assert.ok(first < second);
await assert.rejects(invoices.settle('42', first, { signal }), StaleTokenError);
await coordinator.close();
