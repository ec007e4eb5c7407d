import type { CompleteOptions } from '../../coordinator-options.ts';
import { asPublicError } from '../../store/store-error.ts';
import { client } from '../client.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { Members, storeOf } from '../members.ts';
import { oneLine, type Output } from '../output.ts';
import { examineHistory, examineLatency, examineWriting } from './cluster.ts';
import type { Finding } from './finding.ts';
import { examineTimers } from './machine.ts';
import { judgeMembers } from './members.ts';
import { judgeNamespace } from './namespace.ts';
import { judgeSession } from './session.ts';

/** For one question to one member, where --timeout says nothing. */
const TIMEOUT_MS = 3_000;

export const doctor: Command = {
  name: 'doctor',
  summary: 'Looks at this deployment, and says what is wrong with it and what to do',
  usage: '',
  details:
    "Members and their versions, space and alarms, the latency and this machine's timers against the TTL, permissions, history, TLS, who is stuck in a queue, whose clock is " +
    'ahead, which config has been refused. Writes nothing but a session of its own. Ends with 1 if there is a problem.',
  examples: [
    'holdfast doctor',
    'holdfast doctor --json | jq \'select(.level != "fine")\'',
    'holdfast doctor --ttl 5s   # is that enough here?',
  ],
  takes: { least: 0, most: 0 },
  run: async (call) => {
    const { clock, signal } = call;
    const settings = call.settings();
    const timeoutMs = call.timeoutMs ?? TIMEOUT_MS;
    await using members = new Members(settings);
    const all = storeOf(settings);
    const isProblem = { yes: false };
    const tell = (findings: readonly Finding[]): void => {
      for (const finding of findings) {
        if (finding.level === 'problem') isProblem.yes = true;
        show(call.output, finding);
      }
    };
    try {
      const reports = await members.ask(timeoutMs, signal);
      /* Who was not waited for has not been silent. */
      signal.throwIfAborted();
      const found = judgeMembers(reports);
      const { keyspace, ttlMs } = settings;
      tell([...found, ...transport(settings)]);
      tell([await examineTimers(clock, ttlMs, signal)]);
      if (isCutOff(found)) return EXIT.outage;
      const examination = { clock, store: all, keyspace, ttlMs, timeoutMs, signal };
      const writing = await examineWriting(examination);
      tell(writing);
      /* Who is refused here is refused the rest as well, and knows why now. */
      if (writing.some(({ about, level }) => about === 'access' && level === 'problem')) return EXIT.no;
      tell([await examineHistory(examination)]);
      if (writing.every(({ level }) => level === 'fine')) {
        tell([await examineLatency(examination)]);
        tell(await examineNamespace(call, settings));
      }
      return isProblem.yes ? EXIT.no : EXIT.ok;
    } catch (error) {
      signal.throwIfAborted();
      throw asPublicError(error, 'look further');
    } finally {
      await all.close();
    }
  },
};

async function examineNamespace(call: Call, { ttlMs }: CompleteOptions): Promise<readonly Finding[]> {
  const coordinator = client(call);
  await coordinator.ready({ timeoutMs: call.timeoutMs, signal: call.signal });
  const session = judgeSession(coordinator.session?.ttlMs, ttlMs);
  return [session, ...judgeNamespace(await coordinator.survey({ signal: call.signal }), call.clock.now().wallMs)];
}

function transport({ endpoints }: CompleteOptions): readonly Finding[] {
  const plain = endpoints.filter(
    (endpoint) => endpoint.startsWith('http:') && !/\/\/(?:localhost|127\.|\[::1\])/.test(endpoint),
  );
  if (plain.length === 0) return [];
  return [
    {
      about: 'TLS',
      level: 'warning',
      fact: `the way to ${plain.join(', ')} is neither private nor proved`,
      advice: 'Whoever is on it can take locks and read config. Use https endpoints and --ca-file.',
    },
  ];
}

function isCutOff(findings: readonly Finding[]): boolean {
  return findings.some(({ about, level }) => about === 'members' && level === 'problem');
}

const STYLES = { fine: 'green', note: 'dim', warning: 'yellow', problem: 'red' } as const;

function show(output: Output, finding: Finding): void {
  if (output.isJson) {
    output.json(finding);
    return;
  }
  const { about, level, fact, advice } = finding;
  output.line(`${output.styled(STYLES[level], level.padEnd(8))} ${about.padEnd(9)} ${oneLine(fact)}`);
  if (advice !== undefined) output.line(`${' '.repeat(19)}${oneLine(advice)}`);
}
