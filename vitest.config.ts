import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{kit,contracts,services,apps,tools,bench,drills}/**/*.{unit,pg,kafka,fault}.test.ts"],
    globalSetup: ["./kit/testing/src/vitest/global-setup.ts"],
    // Two cores are what the product is measured on; tests wait for PostgreSQL most of the time.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
