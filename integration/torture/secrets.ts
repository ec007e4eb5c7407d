import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { EtcdCluster } from '../servers/etcd-cluster.ts';
import { removeAtExit } from '../servers/server-process.ts';

/** Users and tokens of a cluster that asks who is there. */

export const ROOT = { username: 'root', password: 'secret' };
export const CLIENT = { username: 'app', password: 'password' };

/** So soon a token expires, however much it is used: a JWT does, unlike one of etcd's simple ones. */
const TOKEN_TTL_S = 4;

/** Flags by which members give out tokens that expire. A password is cheap to check here: many are. */
export function tokenFlags(): string[] {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'holdfast-keys-'));
  removeAtExit(folder);
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2_048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  const [publicFile, privateFile] = [path.join(folder, 'public.pem'), path.join(folder, 'private.pem')];
  writeFileSync(publicFile, publicKey);
  writeFileSync(privateFile, privateKey, { mode: 0o600 });
  const token = `jwt,pub-key=${publicFile},priv-key=${privateFile},sign-method=RS256,ttl=${TOKEN_TTL_S}s`;
  return ['--auth-token', token, '--bcrypt-cost', '4'];
}

/** Makes the users, of whom clients may do anything below a prefix, and begins to ask. */
export async function lockUp(cluster: EtcdCluster, prefix: string): Promise<void> {
  const member = await cluster.leader();
  const root = `${ROOT.username}:${ROOT.password}`;
  for (const command of [
    ['user', 'add', root],
    ['role', 'add', 'root'],
    ['user', 'grant-role', ROOT.username, 'root'],
    ['role', 'add', 'app'],
    ['role', 'grant-permission', 'app', '--prefix=true', 'readwrite', prefix],
    ['user', 'add', `${CLIENT.username}:${CLIENT.password}`],
    ['user', 'grant-role', CLIENT.username, 'app'],
    ['auth', 'enable'],
  ]) {
    await member.insist(command, { done: /already (exists|enabled)/ });
  }
  cluster.operateAs(root);
}
