import { isIP } from 'node:net';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { client, untilStopped } from '../client.ts';
import { UsageError, type Command, type GivenOptions } from '../command.ts';
import { readOption } from '../common-options.ts';
import { Members } from '../members.ts';
import { Audience } from './audience.ts';
import { Observatory } from './observatory.ts';
import { PageServer, type PageServerOptions } from './page-server.ts';

export const ui: Command = {
  name: 'ui',
  summary: 'Shows live in a browser what status shows: queues, leaders over time, configs, members',
  usage: '',
  details: [
    'A page on loopback that can only be read; its address has a secret in it, new each time. One look a second, however many watch.',
    'How old what is shown is stands on the page, and it stays readable while etcd is away. Values of configs, and what leaders proclaim, are left out unless asked for.',
    'Beyond loopback it is served over TLS only, unless with --expose.',
  ].join('\n'),
  options: {
    port: { type: 'number', value: 'N', help: 'the port of the page (a free one)' },
    host: { type: 'text', value: 'ADDRESS', help: 'the address to listen on (127.0.0.1)' },
    values: { type: 'flag', help: 'show the values of configs, and what leaders proclaim' },
    'page-cert-file': { type: 'text', value: 'FILE', help: 'serves the page over TLS: its certificate, PEM' },
    'page-key-file': { type: 'text', value: 'FILE', help: 'and its key' },
    expose: {
      type: 'flag',
      help: 'allows a page without TLS beyond loopback: whoever is on the way can read it, and its secret',
    },
  },
  examples: [
    'holdfast ui',
    'holdfast ui --port 7070 --namespace billing',
    'holdfast ui --host 10.0.0.7 --page-cert-file page.pem --page-key-file page-key.pem',
  ],
  takes: { least: 0, most: 0 },
  run: async (call) => {
    const { options, output, clock, signal } = call;
    const place = placeBy(options);
    const settings = call.settings();
    await using members = new Members(settings);
    const coordinator = client(call);
    const audience = new Audience();
    const show = (): void => audience.tell(observatory.view, observatory.pulse);
    const observatory: Observatory = new Observatory(clock, coordinator, members, {
      namespace: settings.keyspace.namespace,
      showsValues: options.flag('values'),
      onPulse: show,
    });
    await using page = await listen(audience, { ...place, onViewer: show });
    output.tell(page.url, { url: page.url });
    return await untilStopped(call, () => observatory.look(signal));
  },
};

type Place = Omit<PageServerOptions, 'onViewer'>;

/** Throws a UsageError for a place where the page would be open to others. */
function placeBy(options: GivenOptions): Place {
  const host = options.text('host') ?? '127.0.0.1';
  const port = options.number('port') ?? 0;
  const [certFile, keyFile] = [options.text('page-cert-file'), options.text('page-key-file')];
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new UsageError('Expected --page-cert-file and --page-key-file together, got one of them');
  }
  if (port > 65_535) throw new UsageError(`Expected --port to be at most 65535, got ${port}`);
  if (certFile !== undefined && keyFile !== undefined) {
    const tls = { cert: readOption('page-cert-file', certFile), key: readOption('page-key-file', keyFile) };
    expectPair(tls);
    return { host, port, tls };
  }
  if (!isLoopback(host) && !options.flag('expose')) {
    throw new UsageError(
      `Expected --host to be an address of loopback, got ${JSON.stringify(host)}. Give --page-cert-file and --page-key-file to serve others over ` +
        'TLS; or --expose, if the network is trusted',
    );
  }
  return { host, port };
}

function expectPair(tls: SecureContextOptions): void {
  try {
    createSecureContext(tls);
  } catch (error) {
    throw new UsageError(
      `Expected --page-cert-file and --page-key-file to be a certificate and its key in PEM: ${(error as Error).message}`,
    );
  }
}

/** Names may mean anything, but for this one. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

async function listen(audience: Audience, options: PageServerOptions): Promise<PageServer> {
  try {
    return await PageServer.start(audience, options);
  } catch (error) {
    throw new UsageError(`Expected --host and --port to be a place to listen on: ${(error as Error).message}`);
  }
}
