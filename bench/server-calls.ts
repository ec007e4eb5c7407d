/**
 * How many RPCs stand in etcd's counts: unary calls, new streams of keepalives, and requests on watch streams, which all share one.
 * Renewals of leases are left out: they depend on the time that passes and not on what is done in it.
 */
export function callsOf(counts: Readonly<Record<string, number>>): number {
  const { Watch: _, Renewals: __, leases: ___, ...calls } = counts;
  return Object.values(calls).reduce((sum, count) => sum + count, 0);
}
