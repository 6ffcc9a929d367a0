import { defineService } from "@onsale/runtime";
import { consumers } from "./consumers.ts";
import { jobs } from "./jobs.ts";
import { routes } from "./routes.ts";

export const catalog = defineService("catalog", {
  migrations: new URL("../migrations/", import.meta.url),
  consumers,
  routes,
  jobs,
});
