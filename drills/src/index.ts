export { type BrokerOutageOptions, drillBrokerOutage } from "./broker-outage.ts";
export { drillFailingKey, type FailingKeyOptions } from "./failing-key.ts";
export { type FaultName, faultNames } from "./fault-names.ts";
export { type BulkFloodOptions, drillBulkFlood } from "./flood/bulk-flood.ts";
export { drillKill, type KillOptions, together } from "./kill.ts";
export { isAllShown, type LockLabOptions, type LockLabReport, labInWords, labLocks } from "./locks/lab-locks.ts";
export { drillOldTransactions, type OldTransactionsOptions } from "./old-transactions.ts";
export { drillPlanted, type PlantedOptions } from "./planted.ts";
export { type DrillReport, type Invariant, inWords } from "./report.ts";
