import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

// Ports below the range that Linux hands to outgoing connections (32768 and up). A port from that range could be taken by
// any client between a server's stop and its restart, even by the one that tries to reconnect to it: TCP allows a socket
// to connect to itself.
const lowest = 15_000;
const highest = 32_000;

const handedOut = new Set<number>();

/** Ports of 127.0.0.1 that nobody listened on a moment ago. Another process may still be faster: retry then. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = randomInt(lowest, highest);
    if (handedOut.has(port) || !(await isFree(port))) continue;
    handedOut.add(port);
    ports.push(port);
  }
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
