import type { Job } from "@onsale/runtime";
import { askPauseMs } from "./change-settings.ts";
import { type Channel, channels } from "./message.ts";
import type { NotificationPorts } from "./ports.ts";
import { sendBulkMessages } from "./send-bulk-messages.ts";
import { oneRun, sendDue } from "./send-messages.ts";
import { forgetAsked, forgetErased } from "./store/recipient.ts";

// Nobody notices a quarter of a second in a message; an empty look is one index probe.
const lookEveryMs = 250;
const forgetLimit = 5_000;
// Longer than any access token of an account lives.
const tokenLifeMs = 86_400_000;

/** A job per channel: one whose other end hangs keeps no other waiting. */
const sending = (channel: Channel): Job<NotificationPorts> => ({
  name: `notifications.send-${channel}`,
  everyMs: lookEveryMs,
  async run(context, signal) {
    while ((await sendDue(context, channel, signal)) === oneRun.limit && !signal.aborted);
  },
});

export const jobs: readonly Job<NotificationPorts>[] = [
  ...channels.map(sending),
  { name: "notifications.send-bulk-messages", everyMs: lookEveryMs, run: sendBulkMessages },
  {
    name: "notifications.forget-asked-addresses",
    everyMs: 3_600_000,
    async run({ database }, signal) {
      while ((await forgetAsked(database, askPauseMs, forgetLimit)) === forgetLimit && !signal.aborted);
    },
  },
  {
    name: "notifications.forget-erased-people",
    everyMs: 3_600_000,
    async run({ database }, signal) {
      while ((await forgetErased(database, tokenLifeMs, forgetLimit)) === forgetLimit && !signal.aborted);
    },
  },
];
