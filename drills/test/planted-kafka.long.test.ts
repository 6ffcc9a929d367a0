import { requiresKafka, testKafka } from "@onsale/testing";
import { expect, test } from "vitest";
import { faultNames } from "../src/theatre/fault-names.ts";
import { seeCaught } from "./see-caught.ts";

test.skipIf(!(await requiresKafka()))(
  "each planted fault is caught where events go through Kafka, too, and nothing is without it",
  async () => {
    const figures = await seeCaught(faultNames, await testKafka());
    expect(figures).toMatchObject({ planted: faultNames.length, caught: faultNames.length });
  },
  1_200_000,
);
