/**
 * The check, in Lua: Redis runs one script at a time and to its end, so that nothing comes between the check and what follows it.
 *
 * Lua's numbers are doubles, and a token of 64 bits is not: tokens are compared as decimal text without leading zeros, first by
 * length, then digit by digit. What is no such text under the fence's key was not written by a guard, and refuses everything.
 *
 * The check is one line, so that the line numbers in Redis' errors are those of the script that follows it.
 */
import { OutcomeUnknownError, StaleTokenError } from '../errors.ts';
import type { Clock } from '../runtime/clock.ts';
import { answerWithin } from './answer.ts';
import { isReply, isUnsent, type Evaluate } from './redis-client.ts';

const CHECK = [
  "local token, highest = ARGV[1], redis.call('GET', KEYS[1])",
  'if highest then',
  "if #highest > 19 or not string.find(highest, '^[1-9]%d*$') then return redis.error_reply('ERR ' .. KEYS[1] .. ' holds no fencing token') end",
  "if #token < #highest or (#token == #highest and token < highest) then return {'stale', highest} end",
  'end',
  "if token ~= highest then redis.call('SET', KEYS[1], token) end",
].join(' ');

/** KEYS: the fence. ARGV: the token. */
export const CHECK_SCRIPT: string = `${CHECK} return {'ok'}`;
/** KEYS: the fence, the value. ARGV: the token. */
export const GET_SCRIPT: string = `${CHECK} return {'ok', redis.call('GET', KEYS[2])}`;
/** KEYS: the fence, the value. ARGV: the token, the value. */
export const SET_SCRIPT: string = `${CHECK} redis.call('SET', KEYS[2], ARGV[2]) return {'ok'}`;

/** KEYS: the fence and those of the script. ARGV: the token and those of the script, which sees its own from 1 as usual. */
export function checkedScript(script: string): string {
  return `${CHECK} ${running(script, 1)} return {'ok', result}`;
}

/**
 * The same, once: what it returned is written down, in a form that keeps integers of 64 bits and bytes. KEYS: the fence, where that is, those of
 * the script. ARGV: the token, for how many milliseconds, those of the script.
 */
export function onceScript(script: string): string {
  return (
    `${CHECK} local done = redis.call('GET', KEYS[2]) if done then return {'ok', cmsgpack.unpack(done)[1]} end` +
    ` ${running(script, 2)} redis.call('SET', KEYS[2], cmsgpack.pack({result}), 'PX', ARGV[2]) return {'ok', result}`
  );
}

/** Makes `result` of the script, which has the keys and arguments after the first few; its error is the whole's. */
function running(script: string, first: number): string {
  return (
    `local keys, args = {}, {} for i = ${first + 1}, #KEYS do keys[i - ${first}] = KEYS[i] end for i = ${first + 1}, #ARGV do args[i - ${first}] = ARGV[i] end` +
    ` local result = (function(KEYS, ARGV) ${script}\n end)(keys, args)` +
    ` if type(result) == 'table' and result.err then return result end`
  );
}

export interface ScriptCall {
  readonly script: string;
  readonly resource: string;
  readonly token: bigint;
  readonly keys: readonly string[];
  readonly args: readonly string[];
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number;
  /** Whether an earlier sending of this call may have been applied: see `closingsOf`. */
  readonly wasRepeated: () => boolean;
}

/** Sends a checked script once and gives what follows `ok` in the answer. */
export async function callScript(clock: Clock, evaluate: Evaluate, call: ScriptCall): Promise<unknown> {
  const { resource, token, signal, timeoutMs } = call;
  signal?.throwIfAborted();
  let reply: unknown;
  try {
    const answer = evaluate(call.script, call.keys, [token.toString(), ...call.args]);
    const timedOut = (): Error => new Error(`Redis did not answer within ${timeoutMs} ms`);
    reply = await answerWithin(clock, answer, { timeoutMs, timedOut, signal });
  } catch (error) {
    if (isReply(error) || isUnsent(error) || error instanceof TypeError) throw error;
    throw unknownOutcome('sent to Redis and not answered', error);
  }

  const [verdict, result] = Array.isArray(reply) ? (reply as unknown[]) : [];
  if (text(verdict) === 'ok') return result;
  if (text(verdict) !== 'stale') throw unknownOutcome('answered in a way that no script of the guard answers');
  const stale = new StaleTokenError({ resource, token, highest: BigInt(text(result)) });
  if (call.wasRepeated())
    throw unknownOutcome('sent again by the client after a lost connection, and refused then', stale);
  throw stale;
}

function unknownOutcome(what: string, cause?: unknown): OutcomeUnknownError {
  const message = `The call was ${what}. It may have been applied, and may still be applied later.`;
  return new OutcomeUnknownError(message, { cause });
}

/** A client may be told to give texts as bytes. */
export function text(value: unknown): string {
  if (typeof value === 'string') return value;
  return value instanceof Uint8Array ? Buffer.from(value).toString() : '';
}
