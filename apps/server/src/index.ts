export { type Composition, compose, type Wiring } from "./compose.ts";
export { type HostedService, host } from "./hosted-service.ts";
export { type RunningServer, type ServerOptions, startServer } from "./start-server.ts";
