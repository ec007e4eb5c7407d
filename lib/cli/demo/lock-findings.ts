import { count, unseen, type Finding } from './finding.ts';
import { all, type Observation } from './observation.ts';

/** What the resource has seen of the lock. */
export function lockFindings(observations: readonly Observation[]): readonly Finding[] {
  return [tokensRise(observations), noWriteLost(observations), lateWriteRefused(observations)];
}

function tokensRise(observations: readonly Observation[]): Finding {
  const name = 'tokens rise';
  const writes = all(observations, 'wrote');
  const workers = new Set(writes.map(({ worker }) => worker));
  if (workers.size < 2) return unseen(name);
  const back = writes.find(({ token }, index) => index > 0 && token <= (writes[index - 1]?.token ?? 0n));
  const found =
    back === undefined
      ? `${count(writes.length, 'write')} by ${[...workers].join(' and ')}, each with a greater token`
      : `${back.worker} wrote with ${back.token} after a greater one`;
  return { name, held: back === undefined, found };
}

function noWriteLost(observations: readonly Observation[]): Finding {
  const name = 'no write lost';
  const writes = all(observations, 'wrote');
  const last = writes.at(-1);
  if (last === undefined) return unseen(name);
  const lost = writes.length - last.value;
  const isUnbroken = writes.every(({ before, value }) => value === before + 1);
  const found = `${count(writes.length, 'write')}, and the counter says ${last.value}${lost > 0 ? `: ${lost} lost` : ''}`;
  return { name, held: lost === 0 && isUnbroken, found };
}

/** Of those that set out, whose holder was stopped then, and after which somebody else has written. */
function lateWriteRefused(observations: readonly Observation[]): Finding {
  const name = 'late write refused';
  const late = all(observations, 'stopped').flatMap(({ worker, token }) => {
    const newer = all(observations, 'wrote').find((wrote) => wrote.worker !== worker && wrote.token > token);
    return newer === undefined ? [] : [{ worker, token, newer }];
  });
  const [first] = late;
  if (first === undefined) return unseen(name);
  const accepted = late.find(({ token, newer }) => {
    const after = observations.slice(observations.indexOf(newer));
    return all(after, 'wrote').some((wrote) => wrote.token === token);
  });
  if (accepted !== undefined) {
    return {
      name,
      held: false,
      found: `${accepted.worker} wrote with ${accepted.token} after ${accepted.newer.token}`,
    };
  }
  const refusals = all(observations, 'refused');
  const unanswered = late.find(({ token }) => !refusals.some((refused) => refused.token === token));
  if (unanswered !== undefined) return unseen(name);
  const highest = refusals.find(({ token }) => token === first.token)?.highest;
  return {
    name,
    held: true,
    found: `${first.worker} came with ${first.token} after ${highest}, and nothing was written`,
  };
}
