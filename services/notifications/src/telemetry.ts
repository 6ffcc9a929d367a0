import { defineFact } from "@onsale/runtime";

export const telemetry = {
  messageSent: defineFact("message sent", { counter: "onsale_messages_sent_total", labels: ["channel"] }),
  messageNotTaken: defineFact("message not taken", {
    counter: "onsale_messages_not_taken_total",
    labels: ["channel"],
    level: "warn",
  }),
};
