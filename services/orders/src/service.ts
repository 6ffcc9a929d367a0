import { defineService } from "@onsale/runtime";
import { consumers } from "./consumers.ts";
import { jobs } from "./jobs.ts";
import type { OrderPorts } from "./ports.ts";
import { routes } from "./routes.ts";

export const orders = defineService<OrderPorts>("orders", {
  migrations: new URL("../migrations/", import.meta.url),
  consumers,
  routes,
  jobs,
});
