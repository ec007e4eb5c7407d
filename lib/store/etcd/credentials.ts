import { Metadata } from '@grpc/grpc-js';

/** A token, if there is one, and the metadata that carries it. */
export interface Credentials {
  readonly token: string | undefined;
  readonly metadata: Metadata;
}

/** "hasleader": a member that has lost the cluster refuses at once, and ends its streams, instead of being silent. */
export function credentialsOf(token: string | undefined): Credentials {
  const metadata = new Metadata();
  metadata.set('hasleader', 'true');
  if (token !== undefined) metadata.set('token', token);
  return { token, metadata };
}
