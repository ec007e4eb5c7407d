import type { MemberReport } from '../members.ts';
import { showSize } from '../output.ts';
import type { Finding } from './finding.ts';
import { judgeVersion } from './servers.ts';

/** etcd's default quota is 2 GiB, and a database near it will take no writes one day. */
const LARGE_BYTES = 1_500 * 1024 * 1024;

/** What the members say of themselves, each asked by itself. */
export function judgeMembers(members: readonly MemberReport[]): readonly Finding[] {
  const about = 'members';
  const reachable = members.filter(({ answers }) => answers).length;
  const fact = `${reachable} of ${members.length} endpoints answer`;
  const summary: Finding =
    reachable === members.length
      ? { about, level: 'fine', fact }
      : {
          about,
          level: reachable === 0 ? 'problem' : 'warning',
          fact,
          advice:
            reachable === 0
              ? 'Is etcd running, and are --endpoints, TLS and the network right? holdfast dev is an etcd in memory, to try things out.'
              : 'Clients go on to the others, each within its share of the call. Take out what is gone for good, or use discovery.',
        };
  const alone: Finding = {
    about,
    level: 'note',
    fact: 'one endpoint is known',
    advice: 'Name all members, or follow the member list with discovery: { members: true }.',
  };
  return [summary, ...(members.length > 1 ? [] : [alone]), ...members.flatMap(judgeMember)];
}

function judgeMember(member: MemberReport): readonly Finding[] {
  const { endpoint } = member;
  if (!member.answers)
    return [{ about: 'members', level: 'warning', fact: `${endpoint} does not answer: ${member.why}` }];
  if (!member.isTold) return [untold(endpoint)];
  const { version, dbSizeBytes, hasLeader } = member;
  const size = showSize(dbSizeBytes);
  const leader: Finding = {
    about: 'leader',
    level: 'problem',
    fact: `${endpoint} knows no leader`,
    advice: 'Look at its log and its network to the other members: without a majority nothing is granted.',
  };
  const space: Finding =
    dbSizeBytes > LARGE_BYTES
      ? {
          about: 'space',
          level: 'warning',
          fact: `the database of ${endpoint} has ${size}; etcd's default quota is 2,048`,
          advice: 'Compact and defragment, and find out who writes so much.',
        }
      : { about: 'space', level: 'fine', fact: `the database of ${endpoint} has ${size}` };
  return [...judgeVersion(endpoint, version), ...(hasLeader ? [] : [leader]), space];
}

/** etcd 3.5.28 and later refuse whoever has a role for keys alone, and all refuse whom they do not know. */
function untold(endpoint: string): Finding {
  return {
    about: 'version',
    level: 'note',
    fact: `${endpoint} does not tell us its version, its leader and its space`,
    advice:
      'etcd 3.5.28 and later tell them to root alone. Look at them with etcdctl endpoint status, or as root. Nothing else needs that.',
  };
}
