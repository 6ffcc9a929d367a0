import { defineService } from "@onsale/runtime";
import { consumers } from "./consumers.ts";
import { jobs } from "./jobs.ts";
import type { OrderPorts } from "./ports.ts";
import { routes } from "./routes.ts";
import { settleSagaStyle } from "./settle-saga-style.ts";

export const orders = defineService<OrderPorts>("orders", {
  migrations: new URL("../migrations/", import.meta.url),
  begin: ({ database, ports }) => settleSagaStyle(database, ports.saga ?? "orchestrated"),
  consumers,
  routes,
  jobs,
});
