import { spawn, type ChildProcess, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { killAtExit } from '../servers/server-process.ts';

/** What a command printed, with everything replaced that two servers cannot have in common. */
export interface Printout {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

/** One etcdctl against one server: commands in a row, which may name the last lease that was granted as `$lease`. */
export class EtcdctlSession {
  readonly #binary: string;
  readonly #endpoint: string;
  readonly #ids = new Map<string, string>();
  readonly #children = new Set<ChildProcess>();
  #lease = '0';

  constructor(binary: string, endpoint: string) {
    this.#binary = binary;
    // As etcdctl's own default has it. With a scheme, `endpoint status` of 3.4 asks for an authority that Node's HTTP/2 refuses.
    this.#endpoint = new URL(endpoint).host;
  }

  /** Runs a command to its end. `input` is what it reads. */
  async run(command: readonly string[], input = ''): Promise<Printout> {
    const running = this.start(command);
    running.write(input);
    return await running.end();
  }

  /** Starts a command that goes on, such as `watch`. */
  start(command: readonly string[]): RunningEtcdctl {
    const args = command.map((arg) => arg.replaceAll('$lease', this.#lease));
    const child = spawn(this.#binary, ['--endpoints', this.#endpoint, ...args], {
      env: { ...process.env, ETCDCTL_API: '3' },
    });
    killAtExit(child);
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    return new RunningEtcdctl(child, (text) => this.#normalize(text));
  }

  /** Ends what is still running. */
  kill(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }

  #normalize(text: string): string {
    /* Leases have all of their digits, members no leading zeros, in `member list` and in `endpoint status`. */
    const ids = /^[0-9a-f]+(?=, (?:un)?started, )|(?<=^<endpoint>, )[0-9a-f]+|\b[0-9a-f]{16}\b/gm;
    this.#lease = /^lease ([0-9a-f]+) granted/m.exec(text)?.[1] ?? this.#lease;
    return text
      .replaceAll(/https?:\/\/(127\.0\.0\.1|localhost):\d+/g, '<url>')
      .replaceAll(/127\.0\.0\.1:\d+/g, '<endpoint>')
      .replaceAll(/"(cluster_id|member_id|ID|leader|lease)" ?: ?\d{9,}/g, '"$1":<id>')
      .replaceAll(/"(dbSize|dbSizeInUse|raftIndex|raftAppliedIndex)":\d+/g, '"$1":<n>')
      .replaceAll(/"(ClusterID|MemberID)" : \d+/g, '"$1" : <id>')
      .replaceAll(/took (?:= )?[\d.]+[mµn]?s/g, 'took <time>')
      .replaceAll(/remaining\(\d+s\)/g, 'remaining(<time>)')
      .replaceAll(
        /^(<endpoint>, [0-9a-f]+, [\d.]+), .*?, (true|false), (true|false), (\d+), \d+, \d+/gm,
        '$1, <size>, $2, $3, $4, <n>, <n>',
      )
      .replaceAll(ids, (id) => this.#nameOf(id));
  }

  /** Leases and members by the order in which they appear. */
  #nameOf(id: string): string {
    const name = this.#ids.get(id) ?? `<id ${this.#ids.size + 1}>`;
    this.#ids.set(id, name);
    return name;
  }
}

/** An etcdctl that has been started. */
export class RunningEtcdctl {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<unknown[]>;
  readonly #normalize: (text: string) => string;
  #output = '';
  #errors = '';

  constructor(child: ChildProcessWithoutNullStreams, normalize: (text: string) => string) {
    this.#child = child;
    this.#normalize = normalize;
    this.#ended = once(child, 'close');
    child.stdout.setEncoding('utf8').on('data', (text: string) => (this.#output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#errors += text));
    // It may have ended before it read anything.
    child.stdin.on('error', () => undefined);
  }

  get lines(): number {
    return this.#output.split('\n').length - 1;
  }

  write(input: string): void {
    this.#child.stdin.write(input);
  }

  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  async end(): Promise<Printout> {
    this.#child.stdin.end();
    const [code] = (await this.#ended) as [number | null];
    // From 3.5 on, there are lines of a log besides.
    const errors = this.#errors.split('\n').filter((line) => !line.startsWith('{"level"'));
    return { code, output: this.#normalize(this.#output), errors: this.#normalize(errors.join('\n')) };
  }
}
