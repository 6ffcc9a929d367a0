import { requiresKafka, testKafka } from "@onsale/testing";
import { expect, test } from "vitest";
import { seeCaught } from "./see-caught.ts";

// One fault of the relay's reader, one of an owner, one of the inbox; all eleven are in planted-kafka.long.
const sample = ["id-cursor", "take-over-without-epoch", "dedupe-off"] as const;

test.skipIf(!(await requiresKafka()))(
  "planted faults are caught where events go through Kafka, too, and nothing is without them",
  async () => {
    expect(await seeCaught(sample, await testKafka())).toMatchObject({ planted: sample.length, caught: sample.length });
  },
  600_000,
);
