import { configFindings } from './config-findings.ts';
import { count, unseen, type Finding } from './finding.ts';
import { jobFindings } from './job-findings.ts';
import { lockFindings } from './lock-findings.ts';
import { all, type Observation } from './observation.ts';
import { outageFindings } from './outage-findings.ts';

/** What has held, and what not: computed of what was seen. */
export function findingsOf(observations: readonly Observation[]): readonly Finding[] {
  return [
    ...lockFindings(observations),
    ...outageFindings(observations),
    ...configFindings(observations),
    ...jobFindings(observations),
    nothingInVain(observations),
  ];
}

function nothingInVain(observations: readonly Observation[]): Finding {
  const name = 'story came to its end';
  const acts = all(observations, 'act').length;
  if (acts === 0) return unseen(name);
  const [missing] = all(observations, 'unseen');
  return {
    name,
    held: missing === undefined,
    found: missing === undefined ? count(acts, 'act') : `no ${missing.what}`,
  };
}
