/**
 * Calls `act` once everything that needs no time has happened: after the promises that are settled by now, and what follows from
 * them, before the event loop goes on to timers and answers. What many callers want in one turn can so be done together.
 */
export function atEndOfTurn(act: () => void): void {
  process.nextTick(act);
}
