/** What a guard answers over HTTP instead of letting a request through: "Problem Details for HTTP APIs", RFC 9457. */
import { show } from '../arguments.ts';
import type { StaleTokenError } from '../errors.ts';

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** Members of this type of problem. Tokens are decimal text: JSON's numbers are doubles to most who read them. */
  readonly resource?: string;
  readonly token?: string;
  readonly highest?: string;
}

/** What of a response is used: node:http's and express's. */
export interface NodeResponse {
  statusCode: number;
  readonly headersSent?: boolean | undefined;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
}

/** What of fastify's reply is used. */
export interface FastifyReply {
  readonly sent?: boolean | undefined;
  code(status: number): unknown;
  header(name: string, value: string): unknown;
  send(body: string): unknown;
}

/** The response of any of the servers that a guard can stand before. */
export type HttpResponse = NodeResponse | FastifyReply;

export function staleToken({ resource, token, highest }: StaleTokenError): Problem {
  return problem('stale-token', 409, 'Stale fencing token', {
    detail: 'A newer holder has been here; nothing was done. Stop the work: the lock was lost.',
    resource,
    token: token.toString(),
    highest: highest.toString(),
  });
}

export function missingToken(header: string): Problem {
  return problem('missing-token', 428, 'Fencing token required', {
    detail: `Send the token of the lock, as decimal text, in the header ${header}. Nothing was done.`,
  });
}

export function malformedToken(header: string, text: unknown): Problem {
  return problem('malformed-token', 400, 'Malformed fencing token', {
    detail: `Expected ${header} to be one token as decimal text such as "8796093030400", got ${show(text)}. Nothing was done.`,
  });
}

export function malformedResource(): Problem {
  return problem('malformed-resource', 400, 'Malformed name of a resource', {
    detail: 'The request names no resource that could be guarded. Nothing was done.',
  });
}

/** Says nothing of what went wrong: that is the service's business, not its clients'. */
export function uncheckedToken(): Problem {
  return problem('unchecked-token', 503, 'Fencing token could not be checked', {
    detail: 'The guard could not be asked, so the request was refused. Nothing was done; try again later.',
  });
}

function problem(
  kind: string,
  status: number,
  title: string,
  members: Omit<Problem, 'type' | 'title' | 'status'>,
): Problem {
  return { type: `urn:holdfast:problem:${kind}`, title, status, ...members };
}

/** Somebody may have answered meanwhile, such as a timeout of the service's own. */
export function answer(response: HttpResponse, problem: Problem): void {
  const body = JSON.stringify(problem);
  const headers = { 'Content-Type': 'application/problem+json', 'Cache-Control': 'no-store' };
  if ('setHeader' in response) {
    if (response.headersSent === true) return;
    response.statusCode = problem.status;
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    response.end(body);
  } else {
    if (response.sent === true) return;
    response.code(problem.status);
    for (const [name, value] of Object.entries(headers)) response.header(name, value);
    response.send(body);
  }
}
