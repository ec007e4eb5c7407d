import type { LogFields, Logger, LogLevel } from '../runtime/logger.ts';

export interface LogLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

/** Keeps every line, for tests that expect one. */
export class RecordingLogger implements Logger {
  readonly lines: LogLine[] = [];

  debug(message: string, fields: LogFields): void {
    this.lines.push({ level: 'debug', message, fields });
  }

  info(message: string, fields: LogFields): void {
    this.lines.push({ level: 'info', message, fields });
  }

  warn(message: string, fields: LogFields): void {
    this.lines.push({ level: 'warn', message, fields });
  }

  error(message: string, fields: LogFields): void {
    this.lines.push({ level: 'error', message, fields });
  }

  /** The lines of one event, such as `session.lost`. */
  of(event: string): readonly LogLine[] {
    return this.lines.filter((line) => line.fields.event === event);
  }
}
