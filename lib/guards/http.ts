/**
 * A guard at the door of an HTTP service: middleware for node:http, express and fastify, by their shapes, on any guard with a `check`.
 *
 * Guarantee: a request is let through only after the guard has accepted its token, so a stale one, a missing one, one that is none and one that
 * nobody could check never reach what stands behind it.
 * Not guaranteed: anything about a request once it is inside. A handler that pauses between the door and its write can be overtaken there.
 * Where that matters, give the token on to a guard at the store, which checks and writes in one step.
 *
 * Tokens are no secret and no permission. Whoever may send one may send the greatest one, and shut out everybody else for good: put the
 * door behind the authentication.
 *
 * @packageDocumentation
 */

import { expectBoolean, expectDuration, expectFunction, expectGivenOptions, show } from '../arguments.ts';
import { StaleTokenError } from '../errors.ts';
import { expectToken, parseToken } from '../queue/token.ts';
import { systemClock, type Clock } from '../runtime/clock.ts';
import { answerWithin } from './answer.ts';
export type { FastifyReply, HttpResponse, NodeResponse } from './problem.ts';
import {
  answer,
  malformedResource,
  malformedToken,
  missingToken,
  staleToken,
  uncheckedToken,
  type HttpResponse,
  type Problem,
} from './problem.ts';
import { expectResource, isResource } from './resource.ts';

/** Any guard that can check by itself: memory, Redis, or a function of your own around another one. */
export interface TokenCheck {
  /** Throws or rejects with StaleTokenError for a token smaller than the greatest one seen. */
  check(resource: string, token: bigint): void | Promise<void>;
}

/** What of a request is used: node:http's, express's and fastify's all have it. */
export interface HttpRequest {
  readonly method?: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** What a request is about, and what to do where that cannot be checked. */
export interface HttpGuardOptions<R = HttpRequest> {
  /** What the request is about: the name that the guard knows, such as the lock's. */
  readonly resource: string | ((request: R) => string);
  /**
   * The request's header with the token, as decimal text.
   * @default 'Fencing-Token'
   */
  readonly header?: string | undefined;
  /**
   * Lets GET and HEAD through without a token, for readers that hold no lock. A holder sends its token with its reads, too: the guard
   * must see it before the first read of a read-modify-write.
   * @default false
   */
  readonly openReads?: boolean | undefined;
  /**
   * How long the guard may take, in milliseconds, before the request is refused.
   * @default 5_000
   */
  readonly timeoutMs?: number | undefined;
  /** Told why a token could not be checked. The sender of the request is told 503 and no more. */
  readonly onError?: ((error: unknown, request: R) => void) | undefined;
}

/**
 * Calls `next`, without an argument, only for a request whose token was accepted, or for a read without one where `openReads` is set. All others it
 * answers itself, with a problem of RFC 9457: 409 for a stale token, 428 for none, 400 for a token or a resource that is none, 503 where the token
 * could not be checked.
 */
export type HttpGuard<R = HttpRequest> = (request: R & HttpRequest, response: HttpResponse, next: () => void) => void;

const DEFAULT_HEADER = 'Fencing-Token';

/** The middleware. Throws a TypeError or RangeError for wrong options. */
export function httpGuard<R = HttpRequest>(guard: TokenCheck, options: HttpGuardOptions<R>): HttpGuard<R> {
  return httpGuardOn(systemClock, guard, options);
}

/** @internal */
export function httpGuardOn<R>(clock: Clock, guard: TokenCheck, options: HttpGuardOptions<R>): HttpGuard<R> {
  if (typeof (guard as TokenCheck | undefined)?.check !== 'function') {
    throw new TypeError(`Expected guard to have a check, got ${show(guard)}`);
  }
  expectGivenOptions('httpGuard', options, ['resource', 'header', 'openReads', 'timeoutMs', 'onError']);
  const {
    resource: named,
    header: askedHeader = DEFAULT_HEADER,
    openReads = false,
    timeoutMs = 5_000,
    onError,
  } = options;
  const resourceOf = typeof named === 'string' ? () => named : named;
  if (typeof named === 'string') expectResource(named);
  else expectFunction('resource', named);
  const header = expectHeader(askedHeader);
  const key = header.toLowerCase();
  expectBoolean('openReads', openReads);
  expectDuration('timeoutMs', timeoutMs, 1);
  if (onError !== undefined) expectFunction('onError', onError);
  const timedOut = (): Error => new Error(`The guard did not answer within ${timeoutMs} ms`);

  const unchecked = (error: unknown, request: R): Problem => {
    if (error instanceof StaleTokenError) return staleToken(error);
    try {
      onError?.(error, request);
    } catch {
      /* Whoever is told has no say in what becomes of the request. */
    }
    return uncheckedToken();
  };

  const check = (request: R, token: bigint): Problem | undefined | Promise<Problem | undefined> => {
    try {
      const resource = resourceOf(request);
      if (!isResource(resource)) return malformedResource();
      const checked = guard.check(resource, token);
      if (checked === undefined) return undefined;
      const checking = answerWithin(clock, Promise.resolve(checked), { timeoutMs, timedOut, signal: undefined });
      return checking.then(
        () => undefined,
        (error: unknown) => unchecked(error, request),
      );
    } catch (error) {
      return unchecked(error, request);
    }
  };

  /** What stands against the request. `undefined`: nothing. At once if the guard answers at once. */
  const judge = (request: R & HttpRequest): Problem | undefined | Promise<Problem | undefined> => {
    const text = request.headers[key];
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    if (text === undefined) return openReads && isRead ? undefined : missingToken(header);
    const token = tokenOf(text);
    return token === undefined ? malformedToken(header, text) : check(request, token);
  };

  /* No async function: fastify takes three parameters for a callback, and refuses those that also return a promise. */
  return (request, response, next) => {
    const settle = (problem: Problem | undefined): void => {
      if (problem === undefined) next();
      else answer(response, problem);
    };
    const verdict = judge(request);
    if (verdict instanceof Promise) void verdict.then(settle);
    else settle(verdict);
  };
}

/**
 * The headers of a request by this holder: of a lock, a leadership or a tick, or anything with its token. `header` is as the guard's (default
 * `Fencing-Token`). Throws a TypeError for what is no token or no name of a header.
 */
export function fencingHeaders(
  held: { readonly token: bigint },
  header: string = DEFAULT_HEADER,
): Record<string, string> {
  const { token } = held;
  expectToken(token);
  return { [expectHeader(header)]: token.toString() };
}

/**
 * The token of a request that was let through, for a guard behind the door. `header` is as the guard's (default `Fencing-Token`). Throws a TypeError if
 * it has none, or one that is none.
 */
export function fencingToken(request: HttpRequest, header: string = DEFAULT_HEADER): bigint {
  return parseToken(request.headers[expectHeader(header).toLowerCase()] as string);
}

function tokenOf(text: string | string[]): bigint | undefined {
  try {
    return parseToken(text as string);
  } catch {
    return undefined;
  }
}

function expectHeader(name: string): string {
  if (typeof name !== 'string' || !/^[\w!#$%&'*+.^`|~-]+$/.test(name)) {
    throw new TypeError(`Expected header to be the name of a header, got ${show(name)}`);
  }
  return name;
}
