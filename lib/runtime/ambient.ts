import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * One for the whole package, since Node never lets go of an AsyncLocalStorage that was used, and up to Node 22 each of them costs every
 * promise of the process something (measured on Node 20: about 0.2 µs).
 */
const storage = new AsyncLocalStorage<ReadonlyMap<object, unknown>>();

/** Something that the running piece of code is within, and whatever it calls and awaits. Costs nothing before it is first used. */
export class Ambient<T> {
  get(): T | undefined {
    return storage.getStore()?.get(this) as T | undefined;
  }

  run<R>(value: T, act: () => R): R {
    return storage.run(new Map(storage.getStore()).set(this, value), act);
  }
}
