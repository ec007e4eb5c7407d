import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

// docker-compose.yml is a promise of the README that a machine without a container engine cannot try out. What can be
// read off the file is checked here; where Docker's compose plugin is installed, it has its say too (it needs no engine).

interface Service {
  readonly image?: string;
  readonly command?: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly profiles?: readonly string[];
  readonly healthcheck?: { readonly test?: readonly string[] };
}

interface Compose {
  readonly services?: Readonly<Record<string, Service>>;
  readonly volumes?: Readonly<Record<string, unknown>>;
}

const file = 'docker-compose.yml';
const oldestPatch = { '3.5': 16, '3.6': 0 };
const compose = parse(readFileSync(file, 'utf8'), { merge: true }) as Compose;
const services = Object.entries(compose.services ?? {});
const problems: string[] = [];

function expect(holds: boolean, problem: string): void {
  if (!holds) problems.push(problem);
}

function flag(service: Service, name: string): string | undefined {
  const prefix = `--${name}=`;
  return service.command?.find((part) => part.startsWith(prefix))?.slice(prefix.length);
}

for (const [name, service] of services) {
  const [, minor, patch] = /^quay\.io\/coreos\/etcd:v(\d+\.\d+)\.(\d+)$/.exec(service.image ?? '') ?? [];
  const oldest = Object.entries(oldestPatch).find(([known]) => known === minor)?.[1];
  expect(
    oldest !== undefined && Number(patch) >= oldest,
    `${name}: expected an image pinned to etcd 3.5.16 or newer, got ${service.image}`,
  );

  const test = service.healthcheck?.test ?? [];
  // The image has no shell, so the check must be a command of its own, and it must need a leader to pass.
  expect(
    test[0] === 'CMD' && test.join(' ').includes('etcdctl') && test.join(' ').includes('endpoint health'),
    `${name}: expected a health check by "etcdctl endpoint health" without a shell, got ${JSON.stringify(test)}`,
  );

  const ports = service.ports ?? [];
  const published = ports.map((port) => /^127\.0\.0\.1:(\d+):2379$/.exec(port)?.[1]);
  expect(
    published.length === 1 && published[0] !== undefined,
    `${name}: expected the client port alone, published on 127.0.0.1, got ${JSON.stringify(ports)}`,
  );
  expect(
    flag(service, 'advertise-client-urls') === `http://127.0.0.1:${published[0]}`,
    `${name}: expected the advertised client URL to be the published one`,
  );
  expect(flag(service, 'name') === name, `${name}: expected --name=${name}, got ${flag(service, 'name')}`);

  const [volume, folder] = service.volumes?.[0]?.split(':') ?? [];
  expect(
    volume !== undefined && Object.hasOwn(compose.volumes ?? {}, volume) && folder === flag(service, 'data-dir'),
    `${name}: expected its data folder on a declared volume, got ${JSON.stringify(service.volumes)}`,
  );
}

const alone = services.filter(([, service]) => service.profiles === undefined);
const members = services.filter(([, service]) => service.profiles?.includes('cluster') === true);
const initialCluster = members.map(([name]) => `${name}=http://${name}:2380`).join(',');
expect(alone.length === 1, `expected one service without a profile, got ${alone.length}`);
expect(members.length === 3, `expected three services in the profile "cluster", got ${members.length}`);
for (const [name, service] of members) {
  expect(flag(service, 'initial-cluster') === initialCluster, `${name}: expected --initial-cluster=${initialCluster}`);
  expect(
    flag(service, 'initial-advertise-peer-urls') === `http://${name}:2380`,
    `${name}: expected its peers to reach it by its service name`,
  );
}
const hostPorts = services.flatMap(([, service]) => service.ports ?? []).map((port) => port.split(':')[1]);
expect(new Set(hostPorts).size === hostPorts.length, `expected distinct ports, got ${hostPorts.join(', ')}`);
const volumes = services.flatMap(([, service]) => service.volumes ?? []);
expect(new Set(volumes).size === volumes.length, 'expected a volume of its own for every member');

if (spawnSync('docker', ['compose', 'version'], { stdio: 'ignore' }).status === 0) {
  const args = ['compose', '--file', file, '--profile', 'cluster', 'config', '--quiet'];
  const { status, stderr } = spawnSync('docker', args, { encoding: 'utf8' });
  expect(status === 0, `docker compose config: ${stderr.trim()}`);
} else {
  console.log(`${file}: Docker's compose plugin is not installed here, only the file's structure was checked.`);
}

for (const problem of problems) console.error(`${file}: ${problem}`);
if (problems.length > 0) process.exit(1);
console.log(`${file}: ${services.length} services are as promised.`);
