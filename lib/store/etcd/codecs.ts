import { SERVICE_OF, serviceDefinitions, type UnaryMethod, type UnaryMethods } from './protocol.ts';

/** How a unary method is called on the wire: its path, and its messages in etcd's own definition of the protocol. */
export interface Codec<M extends UnaryMethod> {
  readonly path: string;
  readonly encode: (request: UnaryMethods[M]['request']) => Buffer;
  readonly decode: (bytes: Buffer) => UnaryMethods[M]['response'];
}

export type Codecs = { readonly [M in UnaryMethod]: Codec<M> };

let loaded: Promise<Codecs> | undefined;

/** Read once for a process, when the first connection is made: the definition takes some milliseconds to load. */
export function loadCodecs(): Promise<Codecs> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<Codecs> {
  const definitions = await serviceDefinitions(['KV', 'Lease', 'Maintenance', 'Cluster', 'Auth']);
  const methods: readonly UnaryMethod[] = [
    'range',
    'txn',
    'leaseGrant',
    'leaseRevoke',
    'leaseTimeToLive',
    'status',
    'memberList',
    'authenticate',
  ];
  const codecs = methods.map((method) => {
    const service = SERVICE_OF[method] as keyof typeof definitions;
    const definition = Object.values(definitions[service]).find(({ originalName }) => originalName === method);
    if (definition === undefined) throw new Error(`etcd's definition of ${service} has no method ${method}`);
    const { path, requestSerialize, responseDeserialize } = definition;
    return [method, { path, encode: requestSerialize, decode: responseDeserialize }] as const;
  });
  return Object.fromEntries(codecs) as unknown as Codecs;
}
