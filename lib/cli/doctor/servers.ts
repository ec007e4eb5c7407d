import type { Finding } from './finding.ts';

interface KnownBug {
  /** By minor version, the first patch that is without it. A minor version that is not named has never had it. */
  readonly mendedIn: Readonly<Record<string, number>>;
  readonly what: string;
  readonly then: string;
}

/** What is wrong with versions that are still in use, as far as it concerns this package. See docs/adr/0005, 0006 and 0008. */
const KNOWN_BUGS: readonly KnownBug[] = [
  {
    mendedIn: { '3.4': 42, '3.5': 28 },
    what: 'a linearizable read can be stale if a member is paused at the wrong moment',
    then: 'ages can be too small by that pause; locks and linearizable reads go through raft and are not concerned',
  },
  {
    mendedIn: { '3.4': 25, '3.5': 8 },
    what: 'a progress notification of a watch can overtake events',
    then: 'nothing here rests on them; other clients may lose events',
  },
  {
    mendedIn: { '3.5': 3 },
    what: 'members can come to hold different data after a crash under load (etcd issue 13766)',
    then: 'upgrade before anything else',
  },
];

/** The newest that each minor version is known to have; older ones get no mends. */
const OLDEST_SUPPORTED = { major: 3, minor: 4 };

/** What is known of a server's version. */
export function judgeVersion(endpoint: string, version: string): readonly Finding[] {
  const [major = Number.NaN, minor = Number.NaN, patch = Number.NaN] = version.split(/[.-]/).map(Number);
  const about = 'version';
  if (![major, minor, patch].every(Number.isInteger)) {
    return [{ about, level: 'note', fact: `${endpoint} is of version ${version}, of which nothing is known here` }];
  }
  if (major < OLDEST_SUPPORTED.major || (major === OLDEST_SUPPORTED.major && minor < OLDEST_SUPPORTED.minor)) {
    return [
      {
        about,
        level: 'problem',
        fact: `${endpoint} is etcd ${version}`,
        advice: 'Upgrade to 3.4 or newer: older ones are not supported.',
      },
    ];
  }
  const bugs = KNOWN_BUGS.filter(({ mendedIn }) => patch < (mendedIn[`${major}.${minor}`] ?? 0));
  if (bugs.length === 0) return [{ about, level: 'fine', fact: `${endpoint} is etcd ${version}` }];
  return bugs.map(({ mendedIn, what, then }) => ({
    about,
    level: 'warning',
    fact: `${endpoint} is etcd ${version}, in which ${what}: ${then}`,
    advice: `Upgrade to ${major}.${minor}.${mendedIn[`${major}.${minor}`]} or newer.`,
  }));
}
