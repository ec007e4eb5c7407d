import type { Election } from './election.ts';

/** What of a response is used: node:http's, express's, and the raw one of fastify all have it. */
export interface ReadinessResponse {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
}

/**
 * For an orchestrator that sends traffic to the leader only: answers 200 while this process leads, else 503, with the `standing()` of the
 * election as JSON. Decided by the clock, with no I/O, so it stays right while etcd is away. It is an answer to "may work be sent
 * here", not a proof: requests under way when a leadership ends are a guard's to refuse.
 */
export function leaderReadiness(election: Election): (request: unknown, response: ReadinessResponse) => void {
  return (_request, response) => {
    const standing = election.standing();
    response.statusCode = standing.isLeader ? 200 : 503;
    response.setHeader('Content-Type', 'application/json');
    response.setHeader('Cache-Control', 'no-store');
    response.end(JSON.stringify(standing));
  };
}
