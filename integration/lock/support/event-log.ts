import { type EtcdServer } from '../../servers/etcd-server.ts';
import { until } from './until.ts';

export interface LoggedEvent {
  readonly type: 'PUT' | 'DELETE';
  readonly key: string;
}

/** Keys of the log's own begin with this. */
const MARK = '-mark-';

/** Everything that happens below a prefix, as `etcdctl watch` tells it: an eye of its own on what etcd has really done. */
export class EventLog implements Disposable {
  readonly events: LoggedEvent[] = [];
  readonly #server: EtcdServer;
  readonly #prefix: string;
  readonly #watcher: ReturnType<EtcdServer['spawnEtcdctl']>;
  #rest = '';
  #lastMark = 0;

  private constructor(server: EtcdServer, prefix: string) {
    this.#server = server;
    this.#prefix = prefix;
    this.#watcher = server.spawnEtcdctl(['watch', '--prefix', prefix]);
    this.#watcher.stdout.setEncoding('utf8').on('data', (text: string) => this.#read(text));
  }

  static async start(server: EtcdServer, prefix: string): Promise<EventLog> {
    const log = new EventLog(server, prefix);
    /* It does not say when it begins. */
    await until('the watch to begin', async () => {
      await server.insist(['put', `${prefix}${MARK}begin`, '']);
      return log.events.length > 0;
    });
    return log;
  }

  /** Resolves when everything that has happened up to now has been told. A mark that is put twice is a mark. */
  async catchUp(): Promise<void> {
    this.#lastMark += 1;
    const mark = `${this.#prefix}${MARK}${this.#lastMark}`;
    await this.#server.insist(['put', mark, '']);
    await until('the mark', () => this.events.some(({ key }) => key === mark));
  }

  static isMark(key: string): boolean {
    return key.includes(`/${MARK}`);
  }

  [Symbol.dispose](): void {
    this.#watcher.kill('SIGKILL');
  }

  /** A type, a key and, in every case, a line for the value; values are empty here, or one line. */
  #read(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    while (lines.length >= 3) {
      const [type, key] = lines.splice(0, 3) as [string, string, string];
      if (type !== 'PUT' && type !== 'DELETE') throw new Error(`Expected an event from etcdctl, got ${type}`);
      this.events.push({ type, key });
    }
    if (lines.length > 0) this.#rest = `${lines.join('\n')}\n${this.#rest}`;
  }
}
