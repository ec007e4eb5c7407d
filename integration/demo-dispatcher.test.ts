import test from 'ava';
import { Dispatcher } from '../examples/demo/dispatcher.ts';
import type { Transfer } from '../examples/demo/jobs.ts';
import { Reports } from '../examples/demo/reports.ts';

/** A queue and one worker, who does whatever comes. Every fourth job is of other accounts. */
function scene(total: number) {
  const jobs = Array.from({ length: total }, (_, index) => {
    const [from, to] = index % 4 === 3 ? (['cleo', 'dan'] as const) : (['ada', 'ben'] as const);
    return { id: `t-${index}`, from, to, amount: 1 };
  });
  const reports = new Reports();
  const taken: Transfer[] = [];
  const dispatcher = new Dispatcher(jobs, reports, {
    visibilityMs: 60_000,
    tell: (_, message) => message.type === 'take' && taken.push(message.job),
    onOverdue: () => {},
  });
  const settle = (kind: 'applied' | 'busy'): void => {
    const job = taken.at(-1)!;
    const outcome = kind === 'busy' ? { kind } : { kind, touched: [] };
    reports.publish({ worker: 'w1', type: 'settled', job, outcome });
    reports.publish({ worker: 'w1', type: 'idle' });
  };
  reports.publish({ worker: 'w1', type: 'idle' });
  return {
    dispatcher,
    taken: () => taken.map(({ id }) => id),
    settle,
    [Symbol.dispose]: () => dispatcher[Symbol.dispose](),
  };
}

test('before an act nothing is delivered, and then its share', (t) => {
  using demo = scene(10);
  t.deepEqual(demo.taken(), []);
  demo.dispatcher.release(0.2);
  t.deepEqual(demo.taken(), ['t-0']);
  demo.settle('applied');
  t.deepEqual(demo.taken(), ['t-0', 't-1']);
});

test('what was let out is done, and an act still waits for a transfer to disturb: more are delivered, until all are done', async (t) => {
  using demo = scene(10);
  demo.dispatcher.release(0.2);
  for (let done = 0; done < 10; done += 1) demo.settle('applied');
  t.deepEqual(
    demo.taken(),
    Array.from({ length: 10 }, (_, index) => `t-${index}`),
  );
  await demo.dispatcher.finished;
  t.is(demo.dispatcher.left, 0);
});

test('a job that was given back is out, and nothing follows it', (t) => {
  using demo = scene(10);
  demo.dispatcher.release(0.1);
  demo.settle('busy');
  demo.settle('busy');
  t.deepEqual(demo.taken(), ['t-0', 't-0', 't-0']);
});

test('a share that has been let out already lets nothing out', (t) => {
  using demo = scene(10);
  demo.dispatcher.release(0.1);
  demo.settle('applied');
  t.deepEqual(demo.taken(), ['t-0', 't-1']);
  demo.dispatcher.release(0.2);
  demo.settle('applied');
  demo.settle('applied');
  demo.settle('applied');
  t.deepEqual(demo.taken(), ['t-0', 't-1', 't-2', 't-3', 't-4']);
});

test('where an account is to be fought over, the next job that needs it is let out, whatever stands before it', (t) => {
  using demo = scene(10);
  demo.dispatcher.release(0.1);
  demo.dispatcher.releaseOn(['dan', 'eva']);
  demo.settle('applied');
  t.deepEqual(demo.taken(), ['t-0', 't-3']);
  demo.dispatcher.releaseOn(['eva']);
  demo.settle('busy');
  t.deepEqual(demo.taken(), ['t-0', 't-3', 't-3'], 'nobody else needs eva');
});
