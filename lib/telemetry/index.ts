export { instrument, type TelemetryOptions } from './instrument.ts';
export type { Attributes, Counter, Histogram, InstrumentOptions, Meter, Span, Tracer } from './shapes.ts';
