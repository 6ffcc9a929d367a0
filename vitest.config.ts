import { defineConfig } from "vitest/config";
import { CostliestFirst } from "./kit/testing/src/vitest/costliest-first.ts";
import { LastLineReporter } from "./kit/testing/src/vitest/reporter.ts";

const everyday = ["unit", "pg", "kafka", "redis", "fault"];
/** Samples of the drills, minutes of kills under load (`./onsale test --drills`, and continuous integration). */
const withDrills = [...everyday, "drill"];
/** Also what takes many minutes, of which the others are a sample (`./onsale test --long`). */
const withLong = [...withDrills, "long"];

const kindsOf: Readonly<Record<string, readonly string[]>> = { drills: withDrills, long: withLong };

export default defineConfig(({ mode }) => ({
  test: {
    include: [
      `{kit,contracts,services,apps,tools,bench,drills,examples}/**/*.{${(kindsOf[mode] ?? everyday).join(",")}}.test.ts`,
    ],
    globalSetup: ["./kit/testing/src/vitest/global-setup.ts"],
    // The first for people; the second ends the run with the one line that programs read.
    reporters: ["default", new LastLineReporter()],
    provide: { requireAll: process.env.ONSALE_TEST_REQUIRE_ALL === "1" },
    // Two cores are what the product is measured on; a test waits for PostgreSQL most of the time.
    pool: "forks",
    maxWorkers: 2,
    // The files of a worker share the modules that they load: read anew for each, they would take a third of the time.
    isolate: false,
    sequence: { sequencer: CostliestFirst },
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // The server of the run may take its time to stop.
    teardownTimeout: 30_000,
  },
}));
