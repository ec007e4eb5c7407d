import { getEventListeners } from 'node:events';
import test from 'ava';
import { abortable, linkSignals, onAbort } from './abort.ts';

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

test('a listener is told once, with the reason, and at once if the signal has aborted', (t) => {
  const abort = new AbortController();
  const seen: unknown[] = [];
  onAbort(abort.signal, (reason) => seen.push(reason));
  abort.abort('why');
  abort.abort('again');
  t.deepEqual(seen, ['why']);
  onAbort(abort.signal, (reason) => seen.push(reason));
  t.deepEqual(seen, ['why', 'why']);
  t.notThrows(() => onAbort(undefined, () => t.fail())());
});

test('a listener that was taken off is not told, and leaves nothing behind', (t) => {
  const abort = new AbortController();
  const stop = onAbort(abort.signal, () => t.fail());
  t.is(listeners(abort.signal), 1);
  stop();
  stop();
  t.is(listeners(abort.signal), 0);
  abort.abort();
});

test('linked signals abort with the first of them, and with its reason', (t) => {
  const [one, two] = [new AbortController(), new AbortController()];
  const { signal } = linkSignals(one.signal, undefined, two.signal);
  two.abort('two');
  one.abort('one');
  t.is(signal.reason, 'two');
  t.is(listeners(one.signal) + listeners(two.signal), 0);
});

test('a link to a signal that has aborted is aborted, and listens to none', (t) => {
  const [one, two] = [new AbortController(), AbortSignal.abort('before')];
  t.is(linkSignals(one.signal, two).signal.reason, 'before');
  t.is(linkSignals(two, one.signal).signal.reason, 'before');
  t.is(listeners(one.signal), 0);
});

test('a link that was let go of leaves nothing on a long-lived signal', (t) => {
  const abort = new AbortController();
  for (let call = 0; call < 100; call += 1) linkSignals(abort.signal).unlink();
  t.is(listeners(abort.signal), 0);
});

test('an abortable promise settles as the promise does, or with the reason as soon as the signal aborts', async (t) => {
  const abort = new AbortController();
  t.is(await abortable(Promise.resolve(1), abort.signal), 1);
  await t.throwsAsync(abortable(Promise.reject(new Error('own')), abort.signal), { message: 'own' });
  const forever = abortable(new Promise(() => {}), abort.signal);
  abort.abort(new Error('why'));
  await t.throwsAsync(forever, { message: 'why' });
  await t.throwsAsync(abortable(Promise.resolve(1), abort.signal), { message: 'why' });
  t.is(listeners(abort.signal), 0);
});

test('the rejection of a promise that was left alone goes nowhere', async (t) => {
  let fail: (error: Error) => void = () => {};
  const promise = new Promise<never>((_, reject) => {
    fail = reject;
  });
  await t.throwsAsync(abortable(promise, AbortSignal.abort(new Error('why'))), { message: 'why' });
  fail(new Error('unheard'));
  await new Promise((resolve) => setImmediate(resolve));
  t.pass();
});
