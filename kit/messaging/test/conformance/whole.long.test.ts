import { requiresKafka, testKafka } from "@onsale/testing";
import { describe } from "vitest";
import { conform } from "./conform.ts";
import { kafkaLog, postgresLog } from "./logs.ts";

describe("all on the reader of the write-ahead log", () => conform([postgresLog("wal")]));
describe.skipIf(!(await requiresKafka()))("all on Kafka, relayed from the write-ahead log", () =>
  conform([kafkaLog("wal", testKafka)]),
);
