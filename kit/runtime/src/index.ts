export { ids } from "./ids.ts";
export {
  describeError,
  type Logger,
  type LoggerOptions,
  type LogLevel,
  logLevels,
  type OpenLogger,
  openLogger,
  silentLogger,
} from "./logger.ts";
export { defineService, type Job, type ServiceContext, type ServiceDefinition } from "./service.ts";
export {
  defineDuration,
  defineFact,
  defineGauge,
  type Fact,
  type FactFields,
  type FactSpecification,
  metrics,
  metricsPage,
  startTelemetry,
} from "./telemetry.ts";
export { continueTrace, traceIdOf } from "./trace.ts";
