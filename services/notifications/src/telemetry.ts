import { defineFact } from "@onsale/runtime";

export const telemetry = {
  messageSent: defineFact("message sent", { counter: "onsale_messages_sent_total", labels: ["channel"] }),
  messageNotTaken: defineFact("message not taken", {
    counter: "onsale_messages_not_taken_total",
    labels: ["channel"],
    level: "warn",
  }),
  messageDead: defineFact("message dead: an operator may have it sent again", {
    counter: "onsale_messages_dead_total",
    labels: ["channel"],
    level: "error",
  }),
  lineClosed: defineFact("channel does not take messages; it is left alone for a while", {
    counter: "onsale_message_line_failures_total",
    labels: ["channel"],
    level: "warn",
  }),
  lineWorksAgain: defineFact("channel takes messages again", { level: "info" }),
  newsEnded: defineFact("person ended news by mail", { counter: "onsale_news_ended_total" }),
  personForgotten: defineFact("notification settings of a person erased", {
    counter: "onsale_notification_settings_erased_total",
  }),
  bulkMessageDone: defineFact("bulk message sent to everybody it is for", { level: "info" }),
};
