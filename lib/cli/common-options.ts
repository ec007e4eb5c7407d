import { readFileSync } from 'node:fs';
import { completeOptions, type CompleteOptions, type CoordinatorOptions } from '../coordinator-options.ts';
import { createCoordinator, type Coordinator } from '../coordinator.ts';
import { UsageError, type ConnectOptions, type GivenOptions, type OptionSpecs } from './command.ts';

/** What every command takes. Each is also read from the environment: `--ca-file` from HOLDFAST_CA_FILE. */
export const COMMON_OPTIONS: OptionSpecs = {
  endpoints: { type: 'text', value: 'URLS', help: "etcd's client URLs, comma separated (http://127.0.0.1:2379)" },
  'discovery-srv': { type: 'text', value: 'DOMAIN', help: 'finds the endpoints by DNS SRV records' },
  namespace: { type: 'text', value: 'NAME', help: 'everything is below it in etcd (holdfast)' },
  ttl: { type: 'duration', value: 'TIME', help: 'how long what is held outlives this process (15s)' },
  timeout: { type: 'duration', value: 'TIME', help: 'how long to wait: for etcd, or for a turn' },
  'instance-id': { type: 'text', value: 'NAME', help: 'who we are, for whoever asks who holds what' },
  username: { type: 'text', value: 'NAME', help: 'a user of etcd' },
  'password-file': { type: 'text', value: 'FILE', help: 'its password; or HOLDFAST_PASSWORD' },
  'ca-file': { type: 'text', value: 'FILE', help: "the authority of etcd's certificates, PEM" },
  'cert-file': { type: 'text', value: 'FILE', help: 'our own certificate, PEM' },
  'key-file': { type: 'text', value: 'FILE', help: 'and its key' },
  json: { type: 'flag', help: 'for programs: one JSON document a line' },
  help: { type: 'flag', help: 'this text' },
};

/** The variable that stands for an option: HOLDFAST_CA_FILE for `ca-file`. */
export function variableOf(option: string): string {
  return `HOLDFAST_${option.toUpperCase().replaceAll('-', '_')}`;
}

/** A coordinator by the common options. Throws a TypeError, RangeError or UsageError for those that cannot work. No I/O but reading files. */
export function connectBy(
  options: GivenOptions,
  environment: NodeJS.ProcessEnv,
  connectOptions: ConnectOptions = {},
): Coordinator {
  return createCoordinator({ ...coordinatorOptions(options, environment), ...requestBy(connectOptions) });
}

/** What {@link connectBy} would make a coordinator of. Throws as it does. */
export function settingsBy(options: GivenOptions, environment: NodeJS.ProcessEnv): CompleteOptions {
  return completeOptions(coordinatorOptions(options, environment));
}

/** As a coordinator has it. */
const ATTEMPT_MS = 2_000;

function requestBy({ deadlineMs }: ConnectOptions): Pick<CoordinatorOptions, 'request'> {
  if (deadlineMs === undefined) return {};
  if (deadlineMs < 1) throw new UsageError(`Expected --timeout to be at least 1ms, got ${deadlineMs}ms`);
  return { request: { deadlineMs, timeoutMs: Math.min(ATTEMPT_MS, deadlineMs) } };
}

function coordinatorOptions(options: GivenOptions, environment: NodeJS.ProcessEnv): CoordinatorOptions {
  const endpoints = options
    .text('endpoints')
    ?.split(',')
    .map((endpoint) => endpoint.trim());
  const srv = options.text('discovery-srv');
  const ttlMs = options.durationMs('ttl');
  const auth = authBy(options, environment);
  const tls = tlsBy(options);
  const instanceId = options.text('instance-id');
  const namespace = options.text('namespace');
  return {
    ...(endpoints === undefined ? {} : { endpoints }),
    ...(srv === undefined ? {} : { discovery: { srv } }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(ttlMs === undefined ? {} : { session: { ttlMs } }),
    ...(instanceId === undefined ? {} : { instanceId }),
    ...(auth === undefined ? {} : { auth }),
    ...(tls === undefined ? {} : { tls }),
  };
}

/** A password stands in no command line: others of the machine can read those. */
function authBy(options: GivenOptions, environment: NodeJS.ProcessEnv): CoordinatorOptions['auth'] {
  const username = options.text('username');
  if (username === undefined) return undefined;
  const file = options.text('password-file');
  const password = file === undefined ? environment['HOLDFAST_PASSWORD'] : readOption('password-file', file).trimEnd();
  if (password === undefined) {
    throw new UsageError('Expected --password-file or HOLDFAST_PASSWORD with --username, got neither');
  }
  return { username, password };
}

function tlsBy(options: GivenOptions): CoordinatorOptions['tls'] {
  const [ca, cert, key] = (['ca-file', 'cert-file', 'key-file'] as const).map((name) => {
    const file = options.text(name);
    return file === undefined ? undefined : readOption(name, file);
  });
  if (ca === undefined && cert === undefined && key === undefined) return undefined;
  return { ca, cert, key };
}

/** The text of a file that an option names. Throws a UsageError. */
export function readOption(option: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`Expected --${option} to be a file that can be read: ${(error as Error).message}`);
  }
}
