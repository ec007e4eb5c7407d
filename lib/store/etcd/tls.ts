import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';

export interface TlsOptions {
  /** The certificates of the authorities that are trusted, PEM. @default those that Node trusts */
  readonly ca?: Buffer | string | undefined;
  /** The client's certificate and, behind it, those of its issuers, PEM. Goes with `key`. */
  readonly cert?: Buffer | string | undefined;
  /** The client's private key, PEM. Goes with `cert`. */
  readonly key?: Buffer | string | undefined;
}

/**
 * Reads the certificates once, so that what is wrong with them is said at construction, by a TypeError that names the option, and not
 * by every call as "unavailable".
 */
export function secureContext(options: TlsOptions): SecureContext {
  const { ca, cert, key } = options;
  expectPem('tls.ca', ca, (pem) => new X509Certificate(pem));
  expectPem('tls.cert', cert, (pem) => new X509Certificate(pem));
  expectPem('tls.key', key, (pem) => createPrivateKey(pem));
  if ((cert === undefined) !== (key === undefined)) {
    throw new TypeError(
      `Expected tls.cert and tls.key to be given together, got only ${cert === undefined ? 'tls.key' : 'tls.cert'}`,
    );
  }
  if (cert !== undefined && key !== undefined && !new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
    throw new TypeError('Expected tls.key to be the private key of tls.cert, got the key of another certificate');
  }
  try {
    return createSecureContext({
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    });
  } catch (error) {
    throw new TypeError(`Expected tls.ca, tls.cert and tls.key to be usable together: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function expectPem(option: string, value: unknown, read: (pem: Buffer | string) => unknown): void {
  if (value === undefined) return;
  if (typeof value !== 'string' && !Buffer.isBuffer(value)) {
    throw new TypeError(`Expected ${option} to be a Buffer or a string in PEM format, got ${typeof value}`);
  }
  try {
    read(value);
  } catch (error) {
    /* The value itself may be a secret; what OpenSSL says about it is not. */
    throw new TypeError(`Expected ${option} to be in PEM format: ${messageOf(error)}`, { cause: error });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
