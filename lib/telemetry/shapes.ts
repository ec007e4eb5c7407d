// What this package needs of OpenTelemetry, by shape: `@opentelemetry/api` satisfies it, and is not needed to install this package.

/** What a measurement or a span is about. */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** Takes durations, in seconds. */
export interface Histogram {
  record(value: number, attributes?: Attributes): void;
}

/** Takes what happened. */
export interface Counter {
  add(value: number, attributes?: Attributes): void;
}

/** What an instrument says of itself. */
export interface InstrumentOptions {
  readonly description?: string;
  readonly unit?: string;
}

/** What makes instruments: `metrics.getMeter('holdfast')`. */
export interface Meter {
  createHistogram(name: string, options?: InstrumentOptions): Histogram;
  createCounter(name: string, options?: InstrumentOptions): Counter;
}

/** One time that something was held. */
export interface Span {
  setStatus(status: { readonly code: number; readonly message?: string }): unknown;
  end(): void;
}

/** What makes spans: `trace.getTracer('holdfast')`. */
export interface Tracer {
  startSpan(name: string, options?: { readonly attributes?: Record<string, string | number | boolean> }): Span;
}
