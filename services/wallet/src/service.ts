import { defineService } from "@onsale/runtime";

export const wallet = defineService("wallet", {
  migrations: new URL("../migrations/", import.meta.url),
});
