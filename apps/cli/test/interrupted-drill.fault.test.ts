/** A drill that a person ends in its middle. */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnNode, waitFor } from "@onsale/testing";
import { expect, test } from "vitest";
import { isAlive, markOf } from "../src/process-mark.ts";
import { environment, familyOf, main } from "./command-line.ts";

test.skipIf(process.platform !== "linux")(
  "takes its server and its processes with it",
  { timeout: 240_000 },
  async () => {
    const root = await mkdtemp(join(tmpdir(), "onsale drill "));
    try {
      const args = ["drill", "kill", "--log", "postgres", "--data", join(root, "data")];
      await using drill = await spawnNode(main, { args, env: environment() });
      await drill.line(/^round 1: /, 120_000);
      const [pid = ""] = (await readFile(join(root, "drill-postgres/data/postmaster.pid"), "utf8")).split("\n");
      const marks = [...familyOf(Number(pid)), ...familyOf(drill.pid)].map(markOf);
      const living = () => marks.filter((mark) => mark !== undefined && isAlive(mark)).length;
      expect(living()).toBeGreaterThan(2);
      drill.signal("SIGINT");
      expect(await drill.ended).toBe(130);
      await waitFor(() => living() === 0, { withinMs: 30_000, what: "the end of what the drill had begun" });
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  },
);
