/**
 * Metrics and spans of what this package does, for OpenTelemetry. See docs/observability.md for their names. What is needed of OpenTelemetry is written
 * down by its shape: `@opentelemetry/api` satisfies it, and is not needed to install this package.
 *
 * @packageDocumentation
 */

export { instrument, type TelemetryOptions } from './instrument.ts';
export type { Attributes, Counter, Histogram, InstrumentOptions, Meter, Span, Tracer } from './shapes.ts';
