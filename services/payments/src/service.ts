import { defineService } from "@onsale/runtime";
import { choreographed, consumers } from "./consumers.ts";
import { jobs } from "./jobs.ts";
import type { PaymentsPorts } from "./ports.ts";
import { routes } from "./routes.ts";

export const payments = defineService<PaymentsPorts>("payments", {
  migrations: new URL("../migrations/", import.meta.url),
  consumers,
  choreographed,
  routes,
  jobs,
});
