/**
 * The ledger: a process of its own, reached over HTTP on loopback. It knows nothing of etcd, locks or leases; all that it needs to be
 * safe from workers that were paused, cut off or slow is to compare two numbers.
 *
 * - A token smaller than one that the account has seen is refused with 409, for reads as for writes.
 * - Reads count: B's read raises the fence, so A, who read before B, cannot write after it.
 * - A transfer is applied once: a second one with its id is answered and left alone. So is a second statement of a tick.
 * - Nothing is answered before it is on disk. One request is handled after the other, synchronously, on purpose.
 *
 *     node ledger.js FILE [--without-fencing]
 */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { parseToken, StaleTokenError } from 'holdfast';
import type { Applied, Fenced } from './accounts.ts';
import { appliedFromWire, LedgerFile, statementFromWire, tokenToWire, type Wire } from './ledger-file.ts';
import { STATEMENT_FENCE, type Statement } from './statement.ts';

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const [file = '', flag] = process.argv.slice(2);
const fencing = flag !== '--without-fencing';
const ledger = new LedgerFile(file);

/** The whole of fencing: refuse what is smaller than the greatest token seen, remember what is greater. */
function fence(touched: readonly Fenced[]): void {
  if (!fencing) return;
  for (const { account, token } of touched) ledger.guard.check(account, token);
  ledger.raise(touched);
}

function read(touched: readonly Fenced[]): Answer {
  fence(touched);
  return { status: 200, body: touched.map(({ account }) => [account, ledger.balances.get(account)]) };
}

function write(applied: Applied): Answer {
  fence(applied.postings);
  if (ledger.applied.has(applied.id)) return { status: 200, body: 'repeated' };
  ledger.apply(applied);
  return { status: 200, body: 'applied' };
}

function addUp(token: bigint): Answer {
  fence([{ account: STATEMENT_FENCE, token }]);
  const sum = [...ledger.balances.values()].reduce((total, balance) => total + balance, 0);
  return { status: 200, body: { transfers: ledger.applied.size, sum } };
}

function state(statement: Statement): Answer {
  fence([{ account: STATEMENT_FENCE, token: statement.token }]);
  if (ledger.statements.has(statement.tick)) return { status: 200, body: 'repeated' };
  ledger.state(statement);
  return { status: 200, body: 'stated' };
}

function find(id: string): Answer {
  const applied = ledger.applied.get(id);
  if (applied === undefined) return { status: 404, body: 'not applied' };
  return { status: 200, body: { ...applied, postings: applied.postings.map(tokenToWire) } };
}

function answer(request: IncomingMessage, body: unknown): Answer {
  const { pathname } = new URL(request.url ?? '/', 'http://ledger');
  try {
    switch (`${request.method} ${pathname}`) {
      case 'POST /read':
        return read((body as Wire<Fenced>[]).map((wire) => ({ ...wire, token: parseToken(wire.token) })));
      case 'POST /write':
        return write(appliedFromWire(body as Wire<Applied>));
      case 'POST /add-up':
        return addUp(parseToken((body as { readonly token: string }).token));
      case 'POST /state':
        return state(statementFromWire(body as Wire<Statement>));
      default:
        return find(decodeURIComponent(pathname.replace('/transfers/', '')));
    }
  } catch (error) {
    if (error instanceof StaleTokenError) return { status: 409, body: error };
    /* A token that is none. Anything else, such as a full disk, ends the process: what is not on disk is not answered. */
    if (error instanceof TypeError) return { status: 400, body: error.message };
    throw error;
  }
}

const server = createServer((request, response) => {
  void (async () => {
    const { status, body } = answer(request, request.method === 'POST' ? await json(request) : undefined);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  })();
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));

/* Ctrl-C reaches every process of a terminal. The demo, which started this one, ends it; and it never outlives the demo. */
process.on('SIGINT', () => undefined);
process.once('disconnect', () => process.exit());
