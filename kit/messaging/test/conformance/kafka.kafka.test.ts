import { requiresKafka, testKafka } from "@onsale/testing";
import { describe } from "vitest";
import { conform } from "./conform.ts";
import { kafkaLog } from "./logs.ts";

describe.skipIf(!(await requiresKafka()))("conformance on Kafka", () => {
  conform([kafkaLog("snapshot", testKafka), kafkaLog("wal", testKafka)]);
});
