/** What this package needs of OpenTelemetry, by shape: `@opentelemetry/api` satisfies it, and is not needed to install this package. */

export type Attributes = Readonly<Record<string, string | number | boolean>>;

export interface Histogram {
  record(value: number, attributes?: Attributes): void;
}

export interface Counter {
  add(value: number, attributes?: Attributes): void;
}

export interface InstrumentOptions {
  readonly description?: string;
  readonly unit?: string;
}

/** `metrics.getMeter('holdfast')`. */
export interface Meter {
  createHistogram(name: string, options?: InstrumentOptions): Histogram;
  createCounter(name: string, options?: InstrumentOptions): Counter;
}

export interface Span {
  setStatus(status: { readonly code: number; readonly message?: string }): unknown;
  end(): void;
}

/** `trace.getTracer('holdfast')`. */
export interface Tracer {
  startSpan(name: string, options?: { readonly attributes?: Record<string, string | number | boolean> }): Span;
}
