/**
 * Metrics and spans of what this package does in this process, made of the events that it tells over diagnostics_channel.
 *
 * Durations are in seconds and names follow OpenTelemetry's conventions; docs/observability.md has the table. Names of locks and elections
 * are attributes only where the caller says that there are few of them: a metric for each invoice is no metric.
 */
import { expectBoolean, expectOptions, show } from '../arguments.ts';
import { listen, type EndedEvent, type GrantedEvent } from '../runtime/diagnostics.ts';
import type { Attributes, Meter, Span, Tracer } from './shapes.ts';

/** Where measurements go. At least one of both makes sense. */
export interface TelemetryOptions {
  /** `metrics.getMeter('holdfast')`. @default none: no metrics */
  readonly meter?: Meter | undefined;
  /** `trace.getTracer('holdfast')`: a span for each time that something is held. @default none: no spans */
  readonly tracer?: Tracer | undefined;
  /**
   * Whether what is held is named in the attributes of metrics. Only where there are few names.
   * @default false
   */
  readonly withNames?: boolean | undefined;
}

/** `SpanStatusCode.ERROR`. */
const ERROR = 2;

/**
 * Begins to measure, for all coordinators of this process, until the returned function is called. Throws a TypeError for a meter or a tracer that
 * is none.
 */
export function instrument(options: TelemetryOptions): () => void {
  expectOptions('instrument', options, ['meter', 'tracer', 'withNames']);
  const { meter, tracer, withNames = false } = options;
  expectBoolean('withNames', withNames);
  if (meter !== undefined) expectMethods('meter', meter, ['createHistogram', 'createCounter']);
  if (tracer !== undefined) expectMethods('tracer', tracer, ['startSpan']);
  const stops = [
    ...(meter === undefined ? [] : measure(meter, withNames)),
    ...(tracer === undefined ? [] : traceHolds(tracer)),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

function measure(meter: Meter, withNames: boolean): readonly (() => void)[] {
  const seconds = (name: string, description: string) => meter.createHistogram(name, { description, unit: 's' });
  const count = (name: string, description: string) => meter.createCounter(name, { description, unit: '1' });
  const acquires = seconds('holdfast.acquire.duration', 'Waiting for a lock, a permit, a leadership, a partition');
  const holds = seconds('holdfast.hold.duration', 'Holding one');
  const calls = seconds('holdfast.etcd.call.duration', 'Unary calls to etcd, with their repeats');
  const runs = seconds('holdfast.schedule.run.duration', 'Runs of scheduled jobs');
  const sessions = count('holdfast.session.events', 'Sessions opened and lost');
  const health = count('holdfast.health.transitions', 'Changes of the contact with etcd');
  const configs = count('holdfast.config.versions', 'Versions of configs that were applied or refused');
  const stuck = count(
    'holdfast.stuck',
    'What ought to move and does not: holders, keys without a session, work after a loss',
  );
  const resyncs = count('holdfast.replica.resyncs', 'Lists made anew over a gap in history');
  const of = ({ kind, name }: { readonly kind: string; readonly name: string }): Attributes => ({
    'holdfast.kind': kind,
    ...(withNames ? { 'holdfast.name': name } : {}),
  });
  return [
    listen('granted', (event) => acquires.record(event.waitedMs / 1_000, { ...of(event), outcome: 'granted' })),
    listen('refused', (event) => acquires.record(event.waitedMs / 1_000, { ...of(event), outcome: event.code })),
    listen('stuck', (event) => stuck.add(1, { ...of(event), is: event.is })),
    listen('ended', (event) =>
      holds.record(event.heldMs / 1_000, { ...of(event), outcome: event.loss === undefined ? 'released' : 'lost' }),
    ),
    listen('call', ({ method, tookMs, outcome }) => calls.record(tookMs / 1_000, { 'rpc.method': method, outcome })),
    listen('run', ({ job, state, tookMs }) => runs.record(tookMs / 1_000, { 'holdfast.job': job, outcome: state })),
    listen('session', ({ is }) => sessions.add(1, { event: is })),
    listen('health', ({ state }) => health.add(1, { state })),
    listen('config', ({ config, refused }) =>
      configs.add(1, { 'holdfast.config': config, outcome: refused === undefined ? 'applied' : 'refused' }),
    ),
    listen('resync', () => resyncs.add(1)),
  ];
}

function traceHolds(tracer: Tracer): readonly (() => void)[] {
  const open = new Map<string, Span>();
  const idOf = ({ kind, name, token }: GrantedEvent | EndedEvent): string => `${kind} ${name} ${token}`;
  const granted = listen('granted', (event) => {
    const { kind, name, token, waitedMs } = event;
    const attributes = {
      'holdfast.kind': kind,
      'holdfast.name': name,
      /* Beyond what a number can hold exactly. */
      'holdfast.token': token.toString(),
      'holdfast.waited_ms': waitedMs,
    };
    open.set(idOf(event), tracer.startSpan(`hold ${kind}`, { attributes }));
  });
  const ended = listen('ended', (event) => {
    const span = open.get(idOf(event));
    open.delete(idOf(event));
    if (event.loss !== undefined) span?.setStatus({ code: ERROR, message: event.loss });
    span?.end();
  });
  return [granted, ended];
}

function expectMethods(option: string, value: object, methods: readonly string[]): void {
  const isObject = typeof value === 'object' && value !== null;
  const missing = methods.filter((method) => !isObject || typeof Reflect.get(value, method) !== 'function');
  if (missing.length === 0) return;
  throw new TypeError(`Expected ${option} to be OpenTelemetry's, with ${missing.join(' and ')}, got ${show(value)}`);
}
