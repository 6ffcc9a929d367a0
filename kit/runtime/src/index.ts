export {
  ConfigurationError,
  type ConfigurationOf,
  childEnvironment,
  nearestName,
  optionalSetting,
  readConfiguration,
  requiredSetting,
  type Setting,
  type Specification,
  setting,
  shownConfiguration,
} from "./configuration.ts";
export { ids } from "./ids.ts";
export { type RecurringWork, type RunningWork, startRecurringWork } from "./jobs.ts";
export { Lifecycle, type Part, type StopReport } from "./lifecycle.ts";
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
  defineGauges,
  type Fact,
  type FactFields,
  type FactSpecification,
  metrics,
  metricsPage,
  startTelemetry,
} from "./telemetry.ts";
