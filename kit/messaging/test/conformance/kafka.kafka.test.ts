import { requiresKafka, testKafka } from "@onsale/testing";
import { describe } from "vitest";
import { readingBehaviours } from "./behaviours.ts";
import { conform } from "./conform.ts";
import { kafkaLog } from "./logs.ts";

// Both whole: whole.long.
describe.skipIf(!(await requiresKafka()))("conformance on Kafka", () => {
  describe("relayed from the table", () => conform([kafkaLog("snapshot", testKafka)]));
  describe("relayed from the write-ahead log", () => conform([kafkaLog("wal", testKafka)], readingBehaviours));
});
