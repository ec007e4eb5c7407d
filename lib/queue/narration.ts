import { HoldfastError } from '../errors.ts';
import type { Clock } from '../runtime/clock.ts';
import { isHeard, sinceMs, tell } from '../runtime/diagnostics.ts';
import { decodePath, leaseHex } from '../session/keyspace.ts';
import type { Tenure } from './tenure.ts';

/** Tells whoever listens what becomes of a wish for a queue: how long it was waited for, and for how long it was had. */
export function narrated<T extends Tenure | undefined>(
  clock: Clock,
  prefix: string,
  wish: () => Promise<T>,
): Promise<T> {
  return isHeard('granted') || isHeard('ended') || isHeard('refused') ? narrate(clock, prefix, wish) : wish();
}

async function narrate<T extends Tenure | undefined>(clock: Clock, prefix: string, wish: () => Promise<T>): Promise<T> {
  const { kind, name } = queueNamed(prefix);
  const begunAt = clock.now();
  try {
    const tenure = await wish();
    if (tenure === undefined) tell('refused', { kind, name, waitedMs: sinceMs(clock, begunAt), code: 'TAKEN' });
    else accompany(clock, { kind, name, token: tenure.token, waitedMs: sinceMs(clock, begunAt) }, tenure);
    return tenure;
  } catch (error) {
    const code = error instanceof HoldfastError ? error.code : 'ABORTED';
    tell('refused', { kind, name, waitedMs: sinceMs(clock, begunAt), code });
    throw error;
  }
}

/** What a queue is called, by the prefix of its keys. */
export function queueNamed(prefix: string): { readonly kind: string; readonly name: string } {
  const [kind = '', ...rest] = prefix.split('/').slice(1, -1);
  return { kind, name: decodePath(rest.join('/')) };
}

/** Work goes on that was told to stop so long ago. */
export function tellOfStuckWork({ key, lease }: Tenure, waitedMs: number): void {
  tell('stuck', {
    ...queueNamed(key.slice(0, key.lastIndexOf('/') + 1)),
    is: 'work',
    waitedMs,
    lease: leaseHex(lease),
  });
}

function accompany(
  clock: Clock,
  granted: { readonly kind: string; readonly name: string; readonly token: bigint; readonly waitedMs: number },
  tenure: Tenure,
): void {
  tell('granted', granted);
  const { kind, name, token } = granted;
  const heldSince = clock.now();
  void tenure.ended.then(() => {
    const loss = tenure.loss()?.message;
    const heldMs = sinceMs(clock, heldSince);
    tell('ended', { kind, name, token, heldMs, ...(loss === undefined ? {} : { loss }) });
  });
}
