export {
  type Arrange,
  type Composition,
  compose,
  type MessageChannels,
  type ProviderWiring,
  type Wiring,
} from "./compose.ts";
export { type FeedBounds, type HostedService, host } from "./hosted-service.ts";
export type { KafkaChoice } from "./kafka.ts";
export type { OperatedService } from "./operations/operated-services.ts";
export { addOperations } from "./operations/operations.ts";
export { type RunningServer, type ServerOptions, startServer } from "./start-server.ts";
