import { defineService } from "@onsale/runtime";
import { jobs } from "./jobs.ts";
import type { AccountsPorts } from "./ports.ts";
import { routes } from "./routes.ts";

export const accounts = defineService<AccountsPorts>("accounts", {
  migrations: new URL("../migrations/", import.meta.url),
  routes,
  jobs,
});
