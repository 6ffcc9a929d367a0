export { drillKill, type KillOptions } from "./kill.ts";
export { type DrillReport, type Invariant, inWords } from "./report.ts";
