/**
 * What the page shows, as it travels to the browser: plain JSON, without bigints. The page's own code has these types from here, so this file
 * imports nothing.
 */

/** Somebody in a queue. */
export interface ShownContender {
  /** The instance, or the lease of a client that says nothing of itself. */
  readonly who: string;
  readonly lease: string;
  /** By the clock of whoever asked, in milliseconds since 1970; absent for clients other than holdfast's. */
  readonly askedAtMs?: number;
  /** Its session is gone: the key ends with its lease, and holds others up until then. */
  readonly isZombie: boolean;
}

export interface ShownHolder extends ShownContender {
  /** Decimal: it does not fit a number. */
  readonly token: string;
  readonly slot?: number;
}

export interface ShownQueue {
  readonly kind: string;
  readonly name: string;
  readonly holders: readonly ShownHolder[];
  readonly waiters: readonly ShownContender[];
  /** What a leader has proclaimed, where values are shown. */
  readonly value?: string;
}

/** A leadership, as far as it was seen here. */
export interface ShownTerm {
  readonly who: string;
  readonly token: string;
  readonly fromMs: number;
  /** It may have begun long before: nobody had looked, or no look was answered. */
  readonly isOlder: boolean;
  /** When it was last seen; absent: it goes on. */
  readonly toMs?: number;
}

export interface ShownElection {
  readonly kind: string;
  readonly name: string;
  /** Oldest first. */
  readonly terms: readonly ShownTerm[];
}

export interface ShownInstance {
  readonly instanceId: string;
  readonly applied?: number;
  readonly refused?: { readonly version?: number; readonly reason: string };
}

export interface ShownConfig {
  readonly name: string;
  readonly version: number;
  readonly instances: readonly ShownInstance[];
  /** Where values are shown. */
  readonly value?: string;
}

export interface ShownMember {
  readonly endpoint: string;
  readonly isWell: boolean;
  /** Its version and size; or why it says nothing. */
  readonly about: string;
}

/** All of it, of one revision. */
export interface View {
  readonly namespace: string;
  readonly epoch: number;
  readonly queues: readonly ShownQueue[];
  readonly elections: readonly ShownElection[];
  /** Since when terms are watched, in milliseconds since 1970. */
  readonly watchedSinceMs: number;
  readonly configs: readonly ShownConfig[];
  readonly registries: readonly {
    readonly name: string;
    readonly instanceId: string;
    readonly address: string;
  }[];
  readonly jobs: readonly { readonly name: string; readonly isPaused: boolean }[];
  readonly sessions: readonly { readonly who: string; readonly lease: string }[];
  /** Kinds of which there is more than is shown. */
  readonly incomplete: readonly string[];
}

/** How old the view is, every second: a page that says nothing of it would be believed for ever. */
export interface Pulse {
  /** The clock here, in milliseconds since 1970. */
  readonly nowMs: number;
  /** How long ago the last look was begun that was answered; absent: none was. */
  readonly ageMs?: number;
  readonly revision?: string;
  /** The state of the contact with etcd, as a coordinator has it. */
  readonly health: string;
  /** Why the last look failed. `isOutage`: etcd did not answer; else it did, and refused it, say. */
  readonly failure?: { readonly isOutage: boolean; readonly message: string };
  /** How each member of etcd is; empty: none has been asked yet. They say what is wrong while nothing else can be had. */
  readonly members: readonly ShownMember[];
}
