import { UsageError } from './command.ts';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of `250ms`, `5s`, `1.5m`, `2h`, `1d`. Throws a UsageError: a number without a unit means nothing. */
export function parseDuration(option: string, text: string): number {
  const { amount, unit = '' } = /^(?<amount>\d+(?:\.\d+)?)(?<unit>ms|s|m|h|d)$/.exec(text.trim())?.groups ?? {};
  const factor = UNITS[unit];
  if (amount === undefined || factor === undefined) {
    throw new UsageError(
      `Expected ${option} to be a duration such as 250ms, 5s, 2m or 1h, got ${JSON.stringify(text)}`,
    );
  }
  return Number(amount) * factor;
}
