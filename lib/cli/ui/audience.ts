import type { ServerResponse } from 'node:http';
import type { Pulse, View } from './view.ts';

/** More than people open; each holds a connection. */
const MOST = 32;

interface Viewer {
  readonly response: ServerResponse;
  /** The view that it was last sent, as text. */
  sent: string | undefined;
}

/**
 * Those who watch, by server-sent events: `view` when something has changed, and `pulse` each time. A browser that does not keep up misses
 * what is between, and gets the newest when it has.
 */
export class Audience {
  readonly #viewers = new Set<Viewer>();
  /** A view is told more than once, to many, and can be of megabytes. */
  #last: { readonly view: View; readonly text: string } | undefined;

  get size(): number {
    return this.#viewers.size;
  }

  /** Whether there was room for it. The response's head is written here. */
  admit(response: ServerResponse): boolean {
    if (this.#viewers.size >= MOST) return false;
    const viewer: Viewer = { response, sent: undefined };
    this.#viewers.add(viewer);
    response.on('close', () => this.#viewers.delete(viewer));
    /* A browser that went away in the middle of it. */
    response.on('error', () => this.#viewers.delete(viewer));
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write('retry: 1000\n\n');
    return true;
  }

  tell(view: View | undefined, pulse: Pulse): void {
    if (this.#viewers.size === 0) return;
    const text = view === undefined ? undefined : this.#textOf(view);
    for (const viewer of this.#viewers) {
      if (viewer.response.writableNeedDrain) continue;
      if (text !== undefined && viewer.sent !== text) {
        viewer.response.write(`event: view\ndata: ${text}\n\n`);
        viewer.sent = text;
      }
      viewer.response.write(`event: pulse\ndata: ${JSON.stringify(pulse)}\n\n`);
    }
  }

  #textOf(view: View): string {
    if (this.#last?.view !== view) this.#last = { view, text: JSON.stringify(view) };
    return this.#last.text;
  }

  dismiss(): void {
    for (const { response } of this.#viewers) response.end();
    this.#viewers.clear();
  }
}
