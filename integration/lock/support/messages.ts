/** What a test and the client processes that it starts say to each other. */

/** The commands that a client process carries out. */
export interface ClientCommands {
  ready(): Promise<void>;
  acquire(name: string): Promise<bigint>;
  isHeld(): boolean;
  release(): Promise<void>;
  /** Reads the counter, and writes to it, under the token of what is held. */
  read(): Promise<number>;
  write(value: number): Promise<void>;
  /**
   * Says that it does so, and blocks the event loop until there is something to read on its standard input. Gives what `isHeld()` says then,
   * before any timer, signal or answer could have told it.
   */
  heldAfterBlock(): boolean;
  /** Increments the counter under the lock, `count` times as far as the counter has said so. */
  increment(name: string, count: number): Promise<Increments>;
}

export interface Increments {
  readonly acknowledged: number;
  /** How often a try failed, by the error's code. */
  readonly failures: Readonly<Record<string, number>>;
}

export type ToClient =
  | { readonly kind: 'command'; readonly id: number; readonly command: keyof ClientCommands; readonly args: unknown[] }
  | { readonly kind: 'answer'; readonly id: number; readonly outcome: Outcome };

/** What a client asks of the counter. */
export type Question =
  | { readonly kind: 'read'; readonly token: bigint }
  | { readonly kind: 'write'; readonly token: bigint; readonly value: number };

export type FromClient =
  | { readonly kind: 'outcome'; readonly id: number; readonly outcome: Outcome }
  | { readonly kind: 'question'; readonly id: number; readonly question: Question }
  | { readonly kind: 'blocked' };

export type Outcome =
  | { readonly value: unknown }
  | { readonly error: { readonly code: string; readonly text: string } };

/** An error of another process. */
class RemoteError extends Error {
  override readonly name = 'RemoteError';
  readonly code: string;

  constructor({ code, text }: { readonly code: string; readonly text: string }) {
    super(text);
    this.code = code;
  }
}

/** An error as it travels between processes. */
export function failureOf(error: unknown): Outcome {
  const { code } = error as { readonly code?: unknown };
  return { error: { code: typeof code === 'string' ? code : '', text: String(error) } };
}

/** Calls that were sent and wait for their outcome. */
export class OpenCalls {
  readonly #open = new Map<number, (outcome: Outcome) => void>();
  #lastId = 0;

  /** `send` is given the ID by which {@link settle} finds the call again. */
  begin<T>(send: (id: number) => void): Promise<T> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise<T>((resolve, reject) => {
      this.#open.set(id, (outcome) => {
        if ('value' in outcome) resolve(outcome.value as T);
        else reject(new RemoteError(outcome.error));
      });
      send(id);
    });
  }

  settle(id: number, outcome: Outcome): void {
    this.#open.get(id)?.(outcome);
    this.#open.delete(id);
  }

  settleAll(outcome: Outcome): void {
    for (const id of [...this.#open.keys()]) this.settle(id, outcome);
  }
}
