import assert from 'node:assert/strict';
import { INVALID_SPAN_CONTEXT, metrics, trace, type Tracer } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { createCoordinator } from 'holdfast';
import { startEmbeddedEtcd } from 'holdfast/testing';

const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));

const spans: string[] = [];
const tracer: Tracer = {
  startSpan: (name) => {
    spans.push(name);
    return trace.wrapSpanContext(INVALID_SPAN_CONTEXT);
  },
  startActiveSpan: () => assert.fail('not asked for'),
};
trace.setGlobalTracerProvider({ getTracer: () => tracer });

// The snippet.

await using etcd = await startEmbeddedEtcd();
await using coordinator = createCoordinator({ endpoints: etcd.endpoint });
await coordinator.lock('invoice:42').with(() => undefined);
await reader.forceFlush();
const measured = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics));
const acquired = measured.find(({ descriptor }) => descriptor.name === 'holdfast.acquire.duration');
assert.equal(acquired?.dataPoints.length, 1);
assert.equal(spans.length, 1);
await reader.shutdown();
