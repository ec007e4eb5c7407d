import type { Finding } from './finding.ts';

/** What became of the session that was asked for. `grantedMs`: `undefined` where there is none any more that could be trusted. */
export function judgeSession(grantedMs: number | undefined, ttlMs: number): Finding {
  const about = 'session';
  if (grantedMs === undefined) {
    return {
      about,
      level: 'problem',
      fact: `a session of ${ttlMs / 1_000} s was granted, and could not be trusted any more a moment later`,
      advice:
        'This machine or etcd stood still for so long: what a process holds would be lost there. Look at timers and latency, or raise the TTL.',
    };
  }
  if (grantedMs === ttlMs) {
    return { about, level: 'fine', fact: `a session of ${ttlMs / 1_000} s was granted as asked` };
  }
  return {
    about,
    level: 'warning',
    fact: `a session of ${ttlMs / 1_000} s was asked for, and ${grantedMs / 1_000} s were granted`,
    advice: 'etcd grants no less than it needs to elect a leader: what a process held outlives it by that.',
  };
}
