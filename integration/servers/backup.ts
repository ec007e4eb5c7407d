import { execFile } from 'node:child_process';
import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { EtcdServer } from './etcd-server.ts';

const run = promisify(execFile);

/** Saves a snapshot of a running cluster beside the data of one of its members. Resolves to the file. */
export async function backUp(server: EtcdServer): Promise<string> {
  const file = path.join(server.dataDir, 'backup.db');
  await rm(file, { force: true });
  await server.insist(['snapshot', 'save', file]);
  return file;
}

/** The revision that a snapshot holds. */
export async function revisionOf({ binaries: { etcdutl, etcdctl } }: EtcdServer, file: string): Promise<bigint> {
  const { stdout } = await run(etcdutl ?? etcdctl, ['snapshot', 'status', file, '--write-out', 'json'], {
    env: { ...process.env, ETCDCTL_API: '3' },
  });
  return BigInt((JSON.parse(stdout) as { readonly revision: number }).revision);
}

/**
 * What an operator does after a disaster: the members of a cluster are killed, the data of each is replaced by the snapshot's, and they start
 * again.
 */
export async function restore(servers: readonly EtcdServer[], file: string): Promise<void> {
  await Promise.all(servers.map((server) => server.stop({ signal: 'SIGKILL' })));
  const initialCluster = servers.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(',');
  await Promise.all(servers.map((server) => replaceData(server, file, initialCluster)));
  await Promise.all(servers.map((server) => server.restart()));
}

async function replaceData(
  { name, peerUrl, dataDir, binaries: { etcdutl, etcdctl } }: EtcdServer,
  file: string,
  initialCluster: string,
): Promise<void> {
  const restored = path.join(dataDir, 'restored');
  /* etcdutl, where there is one: the same command of etcdctl is on its way out. */
  await run(
    etcdutl ?? etcdctl,
    [
      ...['snapshot', 'restore', file, '--data-dir', restored, '--name', name],
      ...['--initial-cluster', initialCluster, '--initial-advertise-peer-urls', peerUrl],
    ],
    { env: { ...process.env, ETCDCTL_API: '3' } },
  );
  await rm(path.join(dataDir, 'member'), { recursive: true });
  await rename(path.join(restored, 'member'), path.join(dataDir, 'member'));
  await rm(restored, { recursive: true, force: true });
}
