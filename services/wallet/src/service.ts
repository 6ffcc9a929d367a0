import { defineService } from "@onsale/runtime";
import { choreographed, consumers } from "./consumers.ts";
import { jobs } from "./jobs.ts";
import type { WalletPorts } from "./ports.ts";
import { routes } from "./routes.ts";

export const wallet = defineService<WalletPorts>("wallet", {
  migrations: new URL("../migrations/", import.meta.url),
  consumers,
  choreographed,
  routes,
  jobs,
});
