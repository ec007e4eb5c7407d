import { spawnSync } from 'node:child_process';
import { Writable } from 'node:stream';
import test from 'ava';
import {
  createLogger,
  expectLogger,
  safeLogger,
  silentLogger,
  type LogFields,
  type Logger,
  type LogLevel,
} from './logger.ts';

class Lines extends Writable {
  readonly lines: Record<string, unknown>[] = [];
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    for (const line of chunk.toString().trimEnd().split('\n'))
      this.lines.push(JSON.parse(line) as Record<string, unknown>);
    done();
  }
}

function recorder(): Logger & { readonly calls: [LogLevel, string, LogFields][] } {
  const calls: [LogLevel, string, LogFields][] = [];
  const write = (level: LogLevel) => (message: string, fields: LogFields) => void calls.push([level, message, fields]);
  return { calls, debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}

test('a line is one JSON object with level, event, message and redacted fields', (t) => {
  const destination = new Lines();
  const logger = createLogger({ level: 'info', destination });
  logger.warn('The session was lost', { event: 'session.lost', token: 2n ** 60n, password: 'hunter2' });
  t.like(destination.lines[0], {
    level: 'warn',
    event: 'session.lost',
    message: 'The session was lost',
    token: '1152921504606846976',
    password: '[redacted]',
  });
  t.regex(String(destination.lines[0]?.['timestamp']), /^\d{4}-\d\d-\d\dT/);
});

test('lines below the level are not written', (t) => {
  const destination = new Lines();
  const logger = createLogger({ level: 'warn', destination });
  for (const level of ['debug', 'info', 'warn', 'error'] as const) logger[level](level, { event: level });
  t.deepEqual(
    destination.lines.map((line) => line['level']),
    ['warn', 'error'],
  );
});

test('a level that is none is a TypeError that names the option', (t) => {
  t.throws(() => createLogger({ level: 'loud' as LogLevel }), { instanceOf: TypeError, message: /`level`.*"loud"/ });
});

const environments: readonly (readonly [value: string | undefined, loadsWinston: boolean])[] = [
  [undefined, false],
  ['', false],
  ['silent', false],
  ['debug', true],
];
for (const [value, loadsWinston] of environments) {
  test(`with HOLDFAST_LOG=${String(value)} winston is ${loadsWinston ? '' : 'not '}loaded`, (t) => {
    const { HOLDFAST_LOG: _, ...environment } = process.env;
    const script = `
      const { createLogger } = await import(${JSON.stringify(new URL('logger.js', import.meta.url).href)});
      createLogger().info('hello', { event: 'test' });
      console.log(Object.keys((await import('node:module')).default._cache).some((path) => path.includes('winston')));`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      env: value === undefined ? environment : { ...environment, HOLDFAST_LOG: value },
      encoding: 'utf8',
    });
    t.is(stdout.trim(), String(loadsWinston));
    t.is(stderr.includes('"event":"test"'), loadsWinston);
  });
}

test('a wrong HOLDFAST_LOG is a TypeError that names it', (t) => {
  const script = `import(${JSON.stringify(new URL('logger.js', import.meta.url).href)}).then(({ createLogger }) => createLogger())`;
  const { stderr } = spawnSync(process.execPath, ['-e', script], {
    env: { ...process.env, HOLDFAST_LOG: 'verbose' },
    encoding: 'utf8',
  });
  t.regex(stderr, /TypeError: Expected HOLDFAST_LOG to be .*"verbose"/);
});

test('a logger that throws or rejects does not break its caller', (t) => {
  const broken = {
    debug: () => {
      throw new Error('disk full');
    },
    info: () => Promise.reject(new Error('disk full')),
    warn: () => undefined,
    error: () => undefined,
  };
  const logger = safeLogger(broken);
  t.notThrows(() => logger.debug('a', { event: 'test' }));
  t.notThrows(() => logger.info('a', { event: 'test' }));
});

test('fields that throw when read lose the line and nothing else', (t) => {
  const target = recorder();
  const fields: LogFields = Object.defineProperty({ event: 'test' }, 'trap', {
    enumerable: true,
    get: () => {
      throw new Error('trap');
    },
  });
  t.notThrows(() => safeLogger(target).warn('a', fields));
  t.deepEqual(target.calls, []);
});

test('a given logger gets redacted fields, as a method call', (t) => {
  const target = recorder();
  safeLogger(target).error('at https://root:hunter2@host', { event: 'test', auth: { password: 'hunter2' } });
  t.deepEqual(target.calls, [
    ['error', 'at https://host', { event: 'test', auth: { password: '[redacted]' } } as LogFields],
  ]);
});

test('a logger that says a level is switched off is not called for it', (t) => {
  const target = { ...recorder(), isLevelEnabled: (level: string) => level === 'error' };
  const logger = safeLogger(target);
  logger.debug('a', { event: 'test' });
  logger.error('b', { event: 'test' });
  t.deepEqual(
    target.calls.map(([level]) => level),
    ['error'],
  );
});

test('wrapping twice is wrapping once, and silence is not wrapped', (t) => {
  const once = safeLogger(recorder());
  t.is(safeLogger(once), once);
  t.is(safeLogger(silentLogger), silentLogger);
});

test('console is a logger', (t) => {
  const logger: Logger = console;
  t.notThrows(() => expectLogger(logger));
});

for (const [title, logger, message] of [
  ['undefined', undefined, /`logger`.*got undefined/],
  ['null', null, /`logger`.*got null/],
  ['a string', 'console', /`logger`.*got string/],
  ['a logger without warn and error', { debug: () => 0, info: () => 0, error: 'x' }, /missing: warn, error/],
] as const) {
  test(`${title} is refused as a logger, with what is missing`, (t) => {
    t.throws(() => expectLogger(logger), { instanceOf: TypeError, message });
  });
}
