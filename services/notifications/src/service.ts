import { defineService } from "@onsale/runtime";
import { consumers } from "./consumers.ts";
import { routes } from "./routes.ts";
import type { NotificationPorts } from "./tell-order-confirmed.ts";

export const notifications = defineService<NotificationPorts>("notifications", {
  migrations: new URL("../migrations/", import.meta.url),
  consumers,
  routes,
});
