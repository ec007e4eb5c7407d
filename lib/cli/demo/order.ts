import type { Said } from './observation.ts';

/** What a worker is started with. */
export interface WorkerOptions {
  readonly name: string;
  readonly endpoint: string;
  readonly resource: string;
  readonly ttlMs: number;
}

/** What the demo tells a worker to do. */
export type Order =
  /** To count under the lock, again and again, until it is told to rest. */
  | { readonly do: 'contend' }
  | { readonly do: 'rest' }
  /** To hold a lock of its own until that is lost, to ask for it at once, and once more when etcd is back. */
  | { readonly do: 'hold' }
  | { readonly do: 'read'; readonly times: number }
  /** To take part in the job. */
  | { readonly do: 'schedule' }
  /** To end this process, which cannot do so itself, should the demo die; `undefined`: nobody any more. */
  | { readonly do: 'inherit'; readonly pid: number | undefined }
  | { readonly do: 'close' };

/** A worker's word, with the time of the machine's monotonic clock, in milliseconds. */
export interface Report {
  readonly said: Said;
  readonly at: number;
}
