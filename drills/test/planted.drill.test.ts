import { expect, test } from "vitest";
import { seeCaught } from "./see-caught.ts";

// One fault of a reader, one of an owner, one of the inbox and one of the outbox; all eleven are in planted.long.
const sample = ["commit-offset-first", "take-over-without-epoch", "dedupe-off", "partition-dropped-early"] as const;

test("planted faults are caught by the kill drill's own checks, which are green without them", async () => {
  expect(await seeCaught(sample)).toMatchObject({ planted: sample.length, caught: sample.length });
}, 600_000);
