import { conform } from "./conform.ts";
import { postgresLog } from "./logs.ts";

conform([postgresLog("snapshot"), postgresLog("wal")]);
