import type { Command } from './command.ts';
import { elect } from './elect.ts';
import { lock } from './lock.ts';
import { status } from './status.ts';

/** All of them, in the order of the help. */
export const commands: readonly Command[] = [lock, elect, status];
