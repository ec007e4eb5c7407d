import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { SrvRecord } from '../../lib/store/etcd/srv.ts';

const TYPE_SRV = 33;
const CLASS_IN = 1;
const NXDOMAIN = 3;

/** What begins a message in DNS (RFC 1035, section 4.1.1). */
const HEADER_BYTES = 12;

/** A name server on loopback that knows SRV records and nothing else. */
export class NameServer implements AsyncDisposable {
  /** By name. What is not in it does not exist. */
  readonly records: Map<string, readonly SrvRecord[]> = new Map();
  /** How many questions have come. */
  questions: number = 0;
  isSilent: boolean = false;
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (message, { port, address }) => {
      this.questions += 1;
      if (!this.isSilent) socket.send(this.#answer(message), port, address);
    });
  }

  /** On this port of loopback, or on any. */
  static async start(port = 0): Promise<NameServer> {
    const socket = createSocket('udp4');
    socket.bind(port, '127.0.0.1');
    await once(socket, 'listening');
    return new NameServer(socket);
  }

  /** As `dns.setServers` takes it. */
  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await once(this.#socket, 'close');
  }

  #answer(message: Buffer): Buffer {
    const { name, end } = nameAt(message, HEADER_BYTES);
    const question = message.subarray(HEADER_BYTES, end + 4);
    const isKnown = question.readUInt16BE(question.length - 4) === TYPE_SRV;
    const records = isKnown ? this.records.get(name.toLowerCase()) : undefined;
    const header = Buffer.alloc(HEADER_BYTES);
    message.copy(header, 0, 0, 2);
    /* An answer, with authority; recursion was desired and is there. */
    header.writeUInt16BE(0x8580 | (records === undefined ? NXDOMAIN : 0), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(records?.length ?? 0, 6);
    return Buffer.concat([header, question, ...(records ?? []).map(encoded)]);
  }
}

/** A record of the name that was asked for, which lasts for no time. */
function encoded({ name, port, priority, weight }: SrvRecord): Buffer {
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  const target = Buffer.concat([...labels, Buffer.from([0])]);
  const fixed = Buffer.alloc(18);
  /* A pointer to the question's name. */
  fixed.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
  fixed.writeUInt16BE(TYPE_SRV, 2);
  fixed.writeUInt16BE(CLASS_IN, 4);
  fixed.writeUInt16BE(6 + target.length, 10);
  fixed.writeUInt16BE(priority, 12);
  fixed.writeUInt16BE(weight, 14);
  fixed.writeUInt16BE(port, 16);
  return Buffer.concat([fixed, target]);
}

function nameAt(message: Buffer, start: number): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let at = start;
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.'), end: at + 1 };
}
