import { randomInt } from 'node:crypto';
import { createServer, type ListenOptions } from 'node:net';

// Ports below the range that Linux hands to outgoing connections (32768 and up). A port from that range could be taken by
// any client between a server's stop and its restart, even by the one that tries to reconnect to it: TCP allows a socket
// to connect to itself.
const lowest = 15_000;
const highest = 32_000;

/**
 * Ports of 127.0.0.1 that nobody listens on, and that are this process's until it ends: no other test gets one, also while the server
 * it is for is away. A program that does not ask here may still be faster: retry then.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = randomInt(lowest, highest);
    if ((await isFree(port)) && (await claim(port))) ports.push(port);
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

/**
 * Whoever listens on the abstract socket named after a port has it. Such a name is no file: the kernel drops it with the process, however
 * that ends, and each network namespace has its own, as it has its own ports. Where there are none, a port is only free for now.
 */
function claim(port: number): Promise<boolean> {
  const name: ListenOptions = { path: `\0holdfast-port-${port}` };
  return new Promise((resolve) => {
    const holder = createServer().unref();
    holder.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'EADDRINUSE'));
    holder.listen(name, () => resolve(true));
  });
}
