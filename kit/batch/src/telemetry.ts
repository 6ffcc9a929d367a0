import { defineFact } from "@onsale/runtime";

export const telemetry = {
  intakeOverloaded: defineFact("intake overloaded", { counter: "onsale_intake_overloaded_total" }),
  intakeBatchSplit: defineFact("intake batch failed and is tried in parts", {
    counter: "onsale_intake_batches_split_total",
    level: "warn",
  }),
};
