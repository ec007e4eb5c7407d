import { metrics, trace } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import test from 'ava';
import { createCoordinator } from '../coordinator.ts';
import { listen } from '../runtime/diagnostics.ts';
import { VirtualWorld } from '../testing/virtual-world.ts';
import { instrument } from './instrument.ts';
import type { Span, Tracer } from './shapes.ts';

/** Every test listens to all coordinators of this process, so they take turns. */
const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
const meter = new MeterProvider({ readers: [reader] }).getMeter('holdfast');

/** What the SDK would export: how often each metric was recorded, by its attributes. */
async function exported(): Promise<ReadonlyMap<string, number>> {
  await reader.forceFlush();
  const last = exporter.getMetrics().at(-1);
  const points = last?.scopeMetrics.flatMap(({ metrics: all }) =>
    all.flatMap(({ descriptor, dataPoints }) =>
      dataPoints.map(({ attributes, value }) => {
        const count = typeof value === 'number' ? value : (value as { count: number }).count;
        return [`${descriptor.name} ${Object.values(attributes).join(' ')}`.trim(), count] as const;
      }),
    ),
  );
  return new Map(points);
}

test.serial(
  'what a process does is measured, by kind and outcome, and by name only where that was asked for',
  async (t) => {
    const world = new VirtualWorld();
    const stop = instrument({ meter });
    const one = await world.connect({ instanceId: 'one' });
    const two = await world.connect({ instanceId: 'two' });
    const held = await world.settle(one.coordinator.lock('invoice:42').acquire());
    t.is(await world.settle(two.coordinator.lock('invoice:42').tryAcquire()), undefined);
    await t.throwsAsync(world.settle(two.coordinator.lock('invoice:42').acquire({ timeoutMs: 100 })));
    await world.settle(held.release());
    const leadership = await world.settle(one.coordinator.election('reporter').campaign());
    const config = two.coordinator.config('limits');
    await world.settle(config.ready());
    await world.settle(config.set({ max: 1 }));
    /* It is told to stop, and does not. */
    void one.coordinator.lock('stubborn').with(() => new Promise<never>(() => {}));
    await world.advance(100);
    /* Cut off for good: its leadership is lost, and its session. */
    one.store.faults.onRequest(() => 'drop');
    await world.advance(20_000);
    t.false(leadership.isHeld());
    const counts = await exported();
    t.is(counts.get('holdfast.acquire.duration lock granted'), 2);
    t.is(counts.get('holdfast.acquire.duration lock TAKEN'), 1);
    t.is(counts.get('holdfast.acquire.duration lock LOCK_TIMEOUT'), 1);
    t.is(counts.get('holdfast.hold.duration lock released'), 1);
    t.is(counts.get('holdfast.hold.duration election lost'), 1);
    t.is(counts.get('holdfast.stuck lock work'), 1);
    t.is(counts.get('holdfast.session.events opened'), 2);
    t.is(counts.get('holdfast.session.events lost'), 1);
    t.is(counts.get('holdfast.health.transitions degraded'), 1);
    t.is(counts.get('holdfast.config.versions limits applied'), 1);
    t.false([...counts.keys()].some((each) => each.includes('invoice')));

    stop();
    await world.settle((await world.settle(two.coordinator.lock('invoice:42').acquire())).release());
    t.is((await exported()).get('holdfast.acquire.duration lock granted'), 2);

    const stopNamed = instrument({ meter, withNames: true });
    await world.settle((await world.settle(two.coordinator.lock('b').acquire())).release());
    t.is((await exported()).get('holdfast.acquire.duration lock b granted'), 1);
    stopNamed();
  },
);

test.serial('each time that something is held is a span, which says how it ended', async (t) => {
  const world = new VirtualWorld();
  const spans: { name: string; attributes: object; status?: number; isEnded: boolean }[] = [];
  const tracer: Tracer = {
    startSpan: (name, options = {}): Span => {
      const span: (typeof spans)[number] = { name, attributes: options.attributes ?? {}, isEnded: false };
      spans.push(span);
      return {
        setStatus: ({ code }) => {
          span.status = code;
        },
        end: () => {
          span.isEnded = true;
        },
      };
    },
  };
  const stop = instrument({ tracer });
  const { coordinator, store } = await world.connect();
  const held = await world.settle(coordinator.lock('a/b').acquire());
  t.like(spans, [
    {
      name: 'hold lock',
      attributes: { 'holdfast.name': 'a/b', 'holdfast.token': held.token.toString() },
      isEnded: false,
    },
  ]);
  await world.settle(held.release());
  t.like(spans[0], { isEnded: true, status: undefined });
  await world.settle(coordinator.lock('c').acquire());
  store.faults.onRequest(() => 'drop');
  await world.advance(10_000);
  t.like(spans[1], { isEnded: true, status: 2 });
  stop();
});

test.serial('the meters and tracers of OpenTelemetry fit, and what is none is refused', (t) => {
  instrument({ meter: metrics.getMeter('holdfast'), tracer: trace.getTracer('holdfast') })();
  t.throws(() => instrument({ meter: {} as never }), {
    instanceOf: TypeError,
    message: /createHistogram and createCounter/,
  });
  t.throws(() => instrument({ tracer: 1 as never }), { instanceOf: TypeError });
  t.throws(() => instrument({ metre: 1 } as never), { instanceOf: TypeError });
});

test.serial('where nobody listens nothing is told', async (t) => {
  const coordinator = createCoordinator({ endpoints: 'http://127.0.0.1:1' });
  const heard: unknown[] = [];
  listen('health', (event) => heard.push(event))();
  await coordinator.close();
  t.deepEqual(heard, []);
});
