import { createRequire } from 'node:module';
import type * as Winston from 'winston';
import { redact, redactText } from './redact.ts';

/** Every line names what happened with a stable `event`, for programs; the message is for people and may change. */
export interface LogFields {
  /** The room and what happened in it, such as `session.lost`. */
  readonly event: string;
  /** What it happened to, and how: names, revisions, milliseconds. */
  readonly [field: string]: unknown;
  /** Never there, since loggers use the name for themselves: winston appends a field `message` to the message. */
  readonly message?: never;
  /** Never there, for the same reason. */
  readonly level?: never;
}

/** What this package needs of a logger. A winston logger meets it, and so does `console` and what is like it. */
export interface Logger {
  debug(message: string, fields: LogFields): unknown;
  info(message: string, fields: LogFields): unknown;
  warn(message: string, fields: LogFields): unknown;
  error(message: string, fields: LogFields): unknown;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface LoggerOptions {
  /**
   * Lines below this level are not written; `silent` writes none.
   * @default the environment variable HOLDFAST_LOG, else `silent`
   */
  readonly level?: LogLevel | 'silent' | undefined;
  /**
   * Where the lines go, one JSON object each.
   * @default process.stderr, since the standard output belongs to the program
   */
  readonly destination?: NodeJS.WritableStream | undefined;
}

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** What is wrapped already is not wrapped again, so that each part may ask for safety without knowing who did before. */
const safeLoggers = new WeakSet<object>();

/** Writes nothing and costs nothing. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/**
 * The logger of this package: structured JSON through winston, made safe as by {@link safeLogger}. winston is loaded only when
 * there is something to write, since that takes about 120 ms; and then here rather than at the first line, because the first line
 * may be written while a lock is held. Throws a TypeError for a level that is none.
 */
export function createLogger(options: LoggerOptions = {}): Logger {
  const level = options.level ?? levelFromEnvironment();
  if (level === 'silent') return silentLogger;
  if (!LEVELS.includes(level))
    throw new TypeError(`Expected \`level\` to be ${levelNames()}, got ${JSON.stringify(level)}`);

  const winston = createRequire(import.meta.url)('winston') as typeof Winston;
  return safeLogger(
    winston.createLogger({
      level,
      levels: { error: 0, warn: 1, info: 2, debug: 3 },
      format: winston.format.combine(winston.format.timestamp(), winston.format.json({ bigint: true })),
      transports: [new winston.transports.Stream({ stream: options.destination ?? process.stderr })],
    }),
  );
}

/**
 * Wraps a logger that came from elsewhere: fields are redacted before they leave this package, and a logger that throws or rejects
 * loses its line and nothing else. Throws a TypeError that names the missing methods if `logger` is none.
 */
export function safeLogger(logger: Logger): Logger {
  if (logger === silentLogger || safeLoggers.has(logger)) return logger;
  expectLogger(logger);
  const write = (level: LogLevel, message: string, fields: LogFields): void => {
    try {
      if (isSwitchedOff(logger, level)) return;
      // Called as a method, for loggers that use `this`.
      const result = logger[level](redactText(message), redact(fields) as LogFields);
      if (result instanceof Promise) result.catch(() => undefined);
    } catch {
      // A lost line is no reason to lose a lock, and the logger is the only place where one could complain about it.
    }
  };
  const safe: Logger = {
    debug: (message, fields) => write('debug', message, fields),
    info: (message, fields) => write('info', message, fields),
    warn: (message, fields) => write('warn', message, fields),
    error: (message, fields) => write('error', message, fields),
  };
  safeLoggers.add(safe);
  return safe;
}

/** Throws a TypeError that names what is missing. */
export function expectLogger(logger: unknown): asserts logger is Logger {
  const isObject = (typeof logger === 'object' || typeof logger === 'function') && logger !== null;
  if (!isObject) {
    throw new TypeError(
      `Expected \`logger\` to be an object with debug, info, warn and error, got ${logger === null ? 'null' : typeof logger}`,
    );
  }
  const missing = LEVELS.filter((level) => typeof Reflect.get(logger, level) !== 'function');
  if (missing.length > 0) {
    throw new TypeError(
      `Expected \`logger\` to have the methods debug, info, warn and error; missing: ${missing.join(', ')}`,
    );
  }
}

/** winston and pino can say that a line will not be written; then it need not be redacted. */
function isSwitchedOff(logger: Logger & { isLevelEnabled?: (level: string) => unknown }, level: LogLevel): boolean {
  return typeof logger.isLevelEnabled === 'function' && logger.isLevelEnabled(level) === false;
}

function levelFromEnvironment(): LogLevel | 'silent' {
  const text = process.env['HOLDFAST_LOG']?.trim().toLowerCase() ?? '';
  if (text === '' || text === 'silent') return 'silent';
  const level = LEVELS.find((name) => name === text);
  if (level === undefined)
    throw new TypeError(`Expected HOLDFAST_LOG to be ${levelNames()}, got ${JSON.stringify(text)}`);
  return level;
}

function levelNames(): string {
  return [...LEVELS, 'silent'].map((name) => JSON.stringify(name)).join(', ');
}
