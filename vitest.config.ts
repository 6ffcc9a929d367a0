import { defineConfig } from "vitest/config";
import { LastLineReporter } from "./kit/testing/src/vitest/reporter.ts";

/** What takes many minutes runs when it is asked for (`./onsale test --long`); a sample of it is among the others. */
const kinds = (mode: string): string => (mode === "long" ? "{unit,pg,kafka,fault,long}" : "{unit,pg,kafka,fault}");

export default defineConfig(({ mode }) => ({
  test: {
    include: [`{kit,contracts,services,apps,tools,bench,drills,examples}/**/*.${kinds(mode)}.test.ts`],
    globalSetup: ["./kit/testing/src/vitest/global-setup.ts"],
    // The first for people; the second ends the run with the one line that programs read.
    reporters: ["default", new LastLineReporter()],
    provide: { requireAll: process.env.ONSALE_TEST_REQUIRE_ALL === "1" },
    // Two cores are what the product is measured on; a test waits for PostgreSQL most of the time.
    pool: "forks",
    maxWorkers: 2,
    // The files of a worker share the modules that they load: read anew for each, they would take a third of the time.
    isolate: false,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // The server of the run may take its time to stop.
    teardownTimeout: 30_000,
  },
}));
