import { isIPv6 } from 'node:net';

/** One etcd member's client address. */
export interface Endpoint {
  /** As it is shown to people: `https://etcd-1:2379`. */
  readonly url: string;
  readonly secure: boolean;
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number;
  /** `host:port`, with brackets where they are needed. */
  readonly authority: string;
}

/** etcd's client port, where an endpoint names none. */
const DEFAULT_PORT = 2379;

const SHAPE = /^(?<scheme>https?):\/\/(?<host>\[[^\]]*\]|[^/:?#@[\]\s]*)(?::(?<port>[^/?#@\s]*))?\/?$/i;
const HOST_NAME = /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?$/i;

/**
 * Checks endpoints and takes them apart. Throws a TypeError that names the endpoint which is wrong: empty, not http or https, without a
 * host, with a bad port or anything after it, given twice, or of another scheme than the others. Whether a name resolves is not
 * known here: nothing is sent.
 */
export function parseEndpoints(endpoints: readonly string[]): readonly Endpoint[] {
  if (!Array.isArray(endpoints) || endpoints.length === 0) {
    throw new TypeError('Expected at least one endpoint, such as "http://127.0.0.1:2379", got none');
  }
  const parsed = endpoints.map(parseEndpoint);
  const [first] = parsed;
  for (const [index, endpoint] of parsed.entries()) {
    if (first !== undefined && endpoint.secure !== first.secure) {
      throw new TypeError(
        `Expected all endpoints to be http or all to be https, got ${JSON.stringify(first.url)} and ${JSON.stringify(endpoint.url)}`,
      );
    }
    if (parsed.findIndex((other) => other.url === endpoint.url) !== index) {
      throw new TypeError(`Expected every endpoint once, got ${JSON.stringify(endpoint.url)} twice`);
    }
  }
  return parsed;
}

/** One endpoint. Throws a TypeError as {@link parseEndpoints} does. */
export function parseEndpoint(text: unknown): Endpoint {
  if (typeof text !== 'string') throw new TypeError(`Expected an endpoint to be text, got ${typeof text}`);
  const { scheme, host = '', port } = SHAPE.exec(text.trim())?.groups ?? {};
  if (scheme === undefined)
    throw wrongEndpoint(text, 'a URL such as "http://127.0.0.1:2379", with nothing after the port');
  const bare = host.startsWith('[') ? host.slice(1, -1) : host;
  if (host.startsWith('[') ? !isIPv6(bare) : !HOST_NAME.test(host))
    throw wrongEndpoint(text, 'a host name or an IP address');
  const number = port === undefined ? DEFAULT_PORT : /^\d{1,5}$/.test(port) ? Number(port) : 0;
  if (number < 1 || number > 65_535) throw wrongEndpoint(text, 'a port from 1 to 65535');
  const authority = `${host.toLowerCase()}:${number}`;
  const protocol = scheme.toLowerCase();
  return {
    url: `${protocol}://${authority}`,
    secure: protocol === 'https',
    host: bare.toLowerCase(),
    port: number,
    authority,
  };
}

function wrongEndpoint(text: string, expected: string): TypeError {
  /* A password in a URL is a mistake, and must not reach a log by way of the error that says so. */
  const shown = text.replace(/\/\/[^/]*@/, '//…@');
  return new TypeError(`Expected the endpoint ${JSON.stringify(shown)} to have ${expected}`);
}
