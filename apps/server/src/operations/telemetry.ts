import { defineFact } from "@onsale/runtime";

export const telemetry = {
  lettersRedriven: defineFact("dead letters redriven", {
    counter: "onsale_letters_redriven_total",
    labels: ["reader", "mode"],
    level: "info",
  }),
  letterDropped: defineFact("dead letter dropped", {
    counter: "onsale_letters_dropped_total",
    labels: ["reader"],
    level: "warn",
  }),
};
