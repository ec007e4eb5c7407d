import type { Holding } from '../queue/holding.ts';
import { UsageError, type Call, type OptionSpecs } from './command.ts';
import { EXIT } from './exit-codes.ts';
import { runGuarded } from './guarded-command.ts';

/** What commands that run another one take. */
export const UNDER_OPTIONS: OptionSpecs = {
  grace: {
    type: 'duration',
    value: 'TIME',
    help: 'SIGTERM so long before the end of what is held, SIGKILL at it (a fifth of --ttl)',
  },
};

/** As a coordinator has it where --ttl is not given. */
const DEFAULT_TTL_MS = 15_000;

export const UNDER_DETAILS: string = [
  'The command finds the fencing token in HOLDFAST_TOKEN, and the name in HOLDFAST_NAME: it gives the token to whatever it writes to.',
  'It is ended before anybody else can have what it runs under: also when holdfast itself is stopped, killed, or cut off from etcd.',
  'Its exit code is passed on; 127 where it cannot be found.',
].join('\n');

/** How long the command has to end, in milliseconds. Throws a UsageError for what cannot be: to be asked before anything is waited for. */
export function graceOf({ options }: Pick<Call, 'options'>): number {
  const ttlMs = options.durationMs('ttl') ?? DEFAULT_TTL_MS;
  const graceMs = options.durationMs('grace') ?? ttlMs / 5;
  /* A renewal comes every third of the TTL, and a tenth of it is not trusted: more grace than this would end a command that nothing ails. */
  if (graceMs > ttlMs / 3) {
    throw new UsageError(`Expected --grace <= --ttl / 3, got ${graceMs} and ${ttlMs} ms`);
  }
  return graceMs;
}

/** How all of it came to its end. */
export interface UnderEnding {
  readonly code: number;
  /** What it ran under was lost. The code alone does not say so: the command can have any of its own. */
  readonly isLost: boolean;
}

/** Runs what stands behind `--` under something held. */
export async function runUnder(
  held: Holding,
  name: string,
  graceMs: number,
  { rest, clock, signal, output }: Call,
): Promise<UnderEnding> {
  const environment = { ...process.env, HOLDFAST_TOKEN: held.token.toString(), HOLDFAST_NAME: name };
  const ending = await runGuarded(held, clock, { command: rest, environment, graceMs, signal });
  switch (ending.is) {
    case 'ended':
      return { code: ending.code, isLost: false };
    case 'unstarted':
      output.note(`holdfast: ${rest[0] ?? ''} could not be started: ${ending.reason}`);
      return { code: ending.code, isLost: false };
    case 'lost':
      output.note(`holdfast: ${name} was lost, and the command was ended before anybody else could have it`);
      return { code: EXIT.lost, isLost: true };
  }
}
