import { execFile } from 'node:child_process';
import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { EtcdServer } from './etcd-server.ts';

const run = promisify(execFile);

/** Saves a snapshot of a running cluster of one beside its data. Resolves to the file. */
export async function backUp(server: EtcdServer): Promise<string> {
  const file = path.join(server.dataDir, 'backup.db');
  await rm(file, { force: true });
  await server.etcdctl(['snapshot', 'save', file]);
  return file;
}

/** What an operator does after a disaster: the member is killed, its data is replaced by the snapshot's, and it starts again. */
export async function restore(server: EtcdServer, file: string): Promise<void> {
  const restored = path.join(server.dataDir, 'restored');
  const peerUrl = `http://127.0.0.1:${server.peerPort}`;
  await server.stop({ signal: 'SIGKILL' });
  /* etcdutl, where there is one: the same command of etcdctl is on its way out. */
  const { etcdutl, etcdctl } = server.binaries;
  await run(
    etcdutl ?? etcdctl,
    [
      ...['snapshot', 'restore', file, '--data-dir', restored, '--name', server.name],
      ...['--initial-cluster', `${server.name}=${peerUrl}`, '--initial-advertise-peer-urls', peerUrl],
    ],
    { env: { ...process.env, ETCDCTL_API: '3' } },
  );
  await rm(path.join(server.dataDir, 'member'), { recursive: true });
  await rename(path.join(restored, 'member'), path.join(server.dataDir, 'member'));
  await rm(restored, { recursive: true, force: true });
  await server.restart();
}
