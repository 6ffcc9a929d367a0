import { describe } from "vitest";
import { readingBehaviours } from "./behaviours.ts";
import { conform } from "./conform.ts";
import { postgresLog } from "./logs.ts";

// What else the reader of the write-ahead log owes is in whole.long.
describe("conformance on PostgreSQL", () => conform([postgresLog("snapshot")]));
describe("reading the write-ahead log", () => conform([postgresLog("wal")], readingBehaviours));
