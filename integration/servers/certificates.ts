import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { removeAtExit } from './server-process.ts';

const run = promisify(execFile);

export interface IssuedCertificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface IssueOptions {
  /** Whom etcd takes a client for that shows no token. Nobody, if it is empty. @default 'holdfast test', whom it does not know */
  readonly commonName?: string | undefined;
  /** @default false */
  readonly expired?: boolean | undefined;
}

/** A certificate authority of a test's own, in a temporary folder. Needs `openssl` on the path. */
export class CertificateAuthority implements AsyncDisposable {
  readonly caFile: string;
  readonly ca: Buffer;
  readonly #folder: string;
  readonly #keyFile: string;
  #issued = 0;

  private constructor(folder: string, caFile: string, keyFile: string, ca: Buffer) {
    this.#folder = folder;
    this.caFile = caFile;
    this.#keyFile = keyFile;
    this.ca = ca;
  }

  static async create(): Promise<CertificateAuthority> {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'holdfast-ca-'));
    removeAtExit(folder);
    const [caFile, keyFile] = [path.join(folder, 'ca.pem'), path.join(folder, 'ca.key')];
    await run('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
      ...['-subj', '/CN=holdfast test authority', '-keyout', keyFile, '-out', caFile],
    ]);
    return new CertificateAuthority(folder, caFile, keyFile, await readFile(caFile));
  }

  /** A certificate for servers and clients alike. `names` are such as `IP:127.0.0.1` and `DNS:localhost`. */
  async issue(
    names: readonly string[],
    { commonName = 'holdfast test', expired = false }: IssueOptions = {},
  ): Promise<IssuedCertificate> {
    this.#issued += 1;
    const serial = this.#issued;
    const file = (kind: string): string => path.join(this.#folder, `${serial}.${kind}`);
    const [certFile, keyFile] = [file('pem'), file('key')];
    await writeFile(
      file('ext'),
      `subjectAltName=${names.join(',')}\nextendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\n`,
    );
    await run('openssl', [
      ...[
        'req',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-subj',
        commonName === '' ? '/' : `/CN=${commonName}`,
      ],
      ...['-keyout', keyFile, '-out', file('csr')],
    ]);
    await run('openssl', [
      ...['x509', '-req', '-in', file('csr'), '-CA', this.caFile, '-CAkey', this.#keyFile],
      ...['-set_serial', String(serial)],
      ...['-days', expired ? '-1' : '2', '-extfile', file('ext'), '-out', certFile],
    ]);
    return { certFile, keyFile, cert: await readFile(certFile), key: await readFile(keyFile) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
