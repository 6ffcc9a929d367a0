import { defineService } from "@onsale/runtime";
import { consumers } from "./consumers.ts";
import { jobs } from "./jobs.ts";
import type { NotificationPorts } from "./ports.ts";
import { routes } from "./routes.ts";

export const notifications = defineService<NotificationPorts>("notifications", {
  migrations: new URL("../migrations/", import.meta.url),
  consumers,
  routes,
  jobs,
});
