import { readFile } from 'node:fs/promises';
import type { CoordinatorOptions } from '../../lib/index.ts';
import { CertificateAuthority, type IssuedCertificate } from './certificates.ts';

// HOLDFAST_TEST_ACCESS=restricted: every etcd of the integration tests serves over TLS, demands a certificate of its clients, and asks who is
// there.
//
// - Clients are a user with the role that docs/recipes.md tells users to make, for one namespace, and with nothing more. The commands are
//   read from that page, so that it and the tests cannot drift apart.
// - The tests' own etcdctl is root by its certificate. A password would need a token, and a member without a quorum gives none.
//
// A server that is started with `access: 'plain'`, or with a `tls` of its own, is left out:
//
// - where the test makes certificates, users or roles of its own: store/access, store/tls, config/refusals, one case of store/discovery;
// - where etcd is held against the embedded one, or against the model, as a whole: differential/, testing/etcdctl, store/model;
// - where a program is shown as users run it: the demo.
//
// Two cases of store/contract are root's, who alone may do what they do. They say so when they run.

/** The namespace of whatever names no other. */
export const NAMESPACE = 'test';

const PASSWORD = 'password';

/** For etcd's gateway, and for what etcd does for root alone. */
export const ROOT: string = `root:${PASSWORD}`;

const RECIPE = new URL('../../../docs/recipes.md', import.meta.url);
const RECIPE_TITLE = '## The least that a user of etcd needs';

/** What a client needs beside its endpoints and its namespace, as text, so that it can be told to other processes. */
export type ClientAccess = Pick<CoordinatorOptions, 'auth' | 'tls'>;

/** Files of this process, which go with it. */
export interface Certificates {
  readonly caFile: string;
  readonly ca: string;
  /** The servers', and whoever's it is that asks their gateway, which refuses a certificate with a name. */
  readonly nameless: IssuedCertificate;
  /** The clients'. It names nobody whom etcd knows: who they are, their password says. */
  readonly client: IssuedCertificate;
  readonly root: IssuedCertificate;
}

/** None where access is plain. */
export const certificates: Certificates | undefined = isRestricted() ? await issue() : undefined;

/** Of a server that is restricted. A password is cheap to check here: many are. */
export function serverFlags({ caFile, nameless }: Certificates): readonly string[] {
  const tls = ['--cert-file', nameless.certFile, '--key-file', nameless.keyFile];
  return [...tls, '--client-cert-auth', '--trusted-ca-file', caFile, '--bcrypt-cost', '4'];
}

/** Of root's etcdctl. */
export function etcdctlFlags({ caFile, root }: Certificates): readonly string[] {
  return ['--cacert', caFile, '--cert', root.certFile, '--key', root.keyFile];
}

/** What a client connects by, as the user of a namespace, or as root. */
export function accessTo(namespace: string = NAMESPACE): ClientAccess {
  if (certificates === undefined) return {};
  const { ca, client } = certificates;
  const tls = { ca, cert: client.cert.toString(), key: client.key.toString() };
  return { auth: { username: namespace, password: PASSWORD }, tls };
}

/** The same for the command line, as it is read from the environment. Whatever speaks no TLS is none of these servers. */
export function environmentTo(endpoint: string, namespace: string = NAMESPACE): Record<string, string> {
  const where = { HOLDFAST_ENDPOINTS: endpoint, HOLDFAST_NAMESPACE: namespace };
  if (certificates === undefined || !endpoint.startsWith('https:')) return where;
  const { caFile, client } = certificates;
  return {
    ...where,
    HOLDFAST_USERNAME: namespace,
    HOLDFAST_PASSWORD: PASSWORD,
    HOLDFAST_CA_FILE: caFile,
    HOLDFAST_CERT_FILE: client.certFile,
    HOLDFAST_KEY_FILE: client.keyFile,
  };
}

/** Whom an etcdctl says that it is, where it takes part in what clients do. */
export function userOf(namespace: string = NAMESPACE): string | undefined {
  return certificates === undefined ? undefined : `${namespace}:${PASSWORD}`;
}

/** A server whose users are made: an EtcdServer. */
interface Administered {
  /** Repeats an etcdctl until it succeeds, or is refused in words that say that it was `done`. */
  insist(command: readonly string[], options: { readonly done: RegExp }): Promise<string>;
}

/** Makes root and the users of namespaces, and has the cluster ask who is there. */
export async function lockUp(server: Administered, namespaces: readonly string[]): Promise<void> {
  await addUsers(server, namespaces);
  await askWhoIsThere(server);
}

/** Makes root, and for each namespace the user that the recipe makes. */
export async function addUsers(server: Administered, namespaces: readonly string[]): Promise<void> {
  const commands = await recipe();
  const making = namespaces.map(async (namespace) => {
    for (const command of commands) {
      const words = command.map((word) => word.replaceAll('billing', namespace));
      /* It would ask a person for the password. */
      const isUser = words[0] === 'user' && words[1] === 'add';
      await insist(server, isUser ? [...words, '--new-user-password', PASSWORD] : words);
    }
  });
  await Promise.all([insist(server, ['user', 'add', ROOT]), ...making]);
}

/** From now on. etcdctl makes the role of root by itself. */
export async function askWhoIsThere(server: Administered): Promise<void> {
  await insist(server, ['auth', 'enable']);
}

/** A cluster that has just started may be without a leader again. A command whose answer was lost has been done when it is refused. */
async function insist(server: Administered, command: readonly string[]): Promise<void> {
  await server.insist(command, { done: /already exists/ });
}

/** The commands of the page, for a namespace, a user and a role by the name of "billing". */
async function recipe(): Promise<string[][]> {
  const lines = (await readFile(RECIPE, 'utf8')).split('\n');
  const rest = lines.slice(lines.indexOf(RECIPE_TITLE) + 2);
  const commands = rest.slice(
    0,
    rest.findIndex((line) => !line.startsWith('    etcdctl ')),
  );
  if (!lines.includes(RECIPE_TITLE) || commands.length < 4) throw new Error(`Expected the recipe in ${RECIPE.href}`);
  return commands.map((line) => line.trim().split(' ').slice(1));
}

function isRestricted(): boolean {
  const { HOLDFAST_TEST_ACCESS: access = 'plain' } = process.env;
  if (access === 'plain' || access === 'restricted') return access === 'restricted';
  throw new Error(`Expected HOLDFAST_TEST_ACCESS to be plain or restricted, got ${access}`);
}

async function issue(): Promise<Certificates> {
  const authority = await CertificateAuthority.create();
  const names = ['IP:127.0.0.1', 'DNS:localhost'];
  const [nameless, client, root] = await Promise.all([
    authority.issue(names, { commonName: '' }),
    authority.issue(names),
    authority.issue(names, { commonName: 'root' }),
  ]);
  return { caFile: authority.caFile, ca: authority.ca.toString(), nameless, client, root };
}
