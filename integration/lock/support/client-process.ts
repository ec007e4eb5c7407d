import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type CoordinatorOptions } from '../../../lib/index.ts';
import { killAtExit } from '../../servers/server-process.ts';
import {
  failureOf,
  OpenCalls,
  type ClientCommands,
  type FromClient,
  type Question,
  type ToClient,
} from './messages.ts';

/** What its commands read and write: a GuardedCounter. */
interface Counter {
  ask(client: ClientProcess, question: Question): number | undefined;
}

/** A worker in a process of its own, with one coordinator. It can be paused and killed as machines do it to processes. */
export class ClientProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #counter: Counter | undefined;
  readonly #calls = new OpenCalls();
  readonly #blocked: Promise<void>;
  #noteBlocked: () => void = () => {};

  private constructor(options: CoordinatorOptions, counter: Counter | undefined) {
    const script = fileURLToPath(new URL('./client.js', import.meta.url));
    this.#counter = counter;
    /* Bigints pass as they are. */
    this.#child = fork(script, [JSON.stringify(options)], {
      serialization: 'advanced',
      stdio: ['pipe', 'inherit', 'inherit', 'ipc'],
    });
    killAtExit(this.#child);
    this.#blocked = new Promise((resolve) => {
      this.#noteBlocked = resolve;
    });
    this.#child.on('message', (message) => this.#receive(message as FromClient));
    this.#child.once('exit', () => this.#calls.settleAll(failureOf(new Error('The client process has ended.'))));
  }

  /** Starts one that has its session. `counter` is what its commands read and write. */
  static async start(options: CoordinatorOptions, counter?: Counter): Promise<ClientProcess> {
    const client = new ClientProcess(options, counter);
    await client.call('ready');
    return client;
  }

  /** Sends a command. It is carried out when the process runs, so one sent to a paused process waits. */
  call<K extends keyof ClientCommands>(
    command: K,
    ...args: Parameters<ClientCommands[K]>
  ): Promise<Awaited<ReturnType<ClientCommands[K]>>> {
    return this.#calls.begin((id) => this.#send({ kind: 'command', id, command, args }));
  }

  /** Resolves when the process has said that it blocks its event loop. */
  get blocked(): Promise<void> {
    return this.#blocked;
  }

  /** Ends that, as soon as the process runs. */
  unblock(): void {
    this.#child.stdin?.write('\n');
  }

  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.kill();
    await exited;
  }

  #receive(message: FromClient): void {
    switch (message.kind) {
      case 'outcome':
        this.#calls.settle(message.id, message.outcome);
        break;
      case 'question':
        this.#answer(message.id, message.question);
        break;
      case 'blocked':
        this.#noteBlocked();
        break;
    }
  }

  #answer(id: number, question: Question): void {
    try {
      this.#send({ kind: 'answer', id, outcome: { value: this.#counter?.ask(this, question) } });
    } catch (error) {
      this.#send({ kind: 'answer', id, outcome: failureOf(error) });
    }
  }

  #send(message: ToClient): void {
    /* Nothing can be sent to a process that was killed a moment ago, and nobody waits for it. */
    this.#child.send(message, () => {});
  }
}
