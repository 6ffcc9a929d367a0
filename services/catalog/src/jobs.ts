import { forgetOldKeys } from "@onsale/http";
import type { Job } from "@onsale/runtime";

export const jobs: readonly Job[] = [
  {
    name: "catalog.forget-old-keys",
    everyMs: 60_000,
    async run({ database }, signal) {
      while (!signal.aborted && (await forgetOldKeys(database)) > 0);
    },
  },
];
