import type { Store } from '../../store/store.ts';
import type { Finding } from './finding.ts';
import { judgeVersion } from './servers.ts';

/** A member by its endpoint, over a connection of its own. */
export interface Member {
  readonly endpoint: string;
  readonly store: Store;
}

/** etcd's default quota is 2 GiB, and a database near it will take no writes one day. */
const LARGE_BYTES = 1_500 * 1024 * 1024;

/** Asks each endpoint by itself: what a client only notices when it needs the other one. */
export async function examineMembers(members: readonly Member[], timeoutMs: number): Promise<readonly Finding[]> {
  const findings = await Promise.all(members.map((member) => examineMember(member, timeoutMs)));
  const about = 'members';
  const reachable = findings.filter(({ isReachable }) => isReachable).length;
  const summary: Finding =
    reachable === members.length
      ? { about, level: 'fine', fact: `${reachable} of ${members.length} endpoints answer` }
      : {
          about,
          level: reachable === 0 ? 'problem' : 'warning',
          fact: `${reachable} of ${members.length} endpoints answer`,
          advice:
            'Clients go on to the others, each within its share of the call. Take out what is gone for good, or use discovery.',
        };
  const alone: readonly Finding[] =
    members.length > 1
      ? []
      : [
          {
            about,
            level: 'note',
            fact: 'one endpoint is configured',
            advice: 'Name all members, or follow the member list with discovery: { members: true }.',
          },
        ];
  return [summary, ...alone, ...findings.flatMap((each) => each.findings)];
}

async function examineMember(
  { endpoint, store }: Member,
  timeoutMs: number,
): Promise<{ readonly isReachable: boolean; readonly findings: readonly Finding[] }> {
  try {
    const { version, dbSizeBytes, hasLeader } = await store.status({ timeoutMs });
    const findings: Finding[] = [...judgeVersion(endpoint, version)];
    if (!hasLeader) {
      findings.push({
        about: 'leader',
        level: 'problem',
        fact: `${endpoint} knows no leader`,
        advice: 'Look at its log and its network to the other members: without a majority nothing is granted.',
      });
    }
    const mib = Math.round(dbSizeBytes / 1024 / 1024);
    findings.push(
      dbSizeBytes > LARGE_BYTES
        ? {
            about: 'space',
            level: 'warning',
            fact: `the database of ${endpoint} has ${mib} MiB; etcd's default quota is 2,048`,
            advice: 'Compact and defragment, and find out who writes so much.',
          }
        : { about: 'space', level: 'fine', fact: `the database of ${endpoint} has ${mib} MiB` },
    );
    return { isReachable: true, findings };
  } catch (error) {
    const fact = `${endpoint} does not answer: ${(error as Error).message}`;
    return { isReachable: false, findings: [{ about: 'members', level: 'warning', fact }] };
  }
}
