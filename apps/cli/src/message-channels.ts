import { ConfigurationError } from "@onsale/runtime";
import type { MessageChannels } from "@onsale/server";
import type { Configuration } from "./configuration.ts";

type MessageSettings = Pick<Configuration, "chatUrl" | "smtpUrl" | "mailFrom" | "pushUrl" | "pushSecret">;

/**
 * The ways out for messages that are configured; those that are not do not exist.
 * @throws {ConfigurationError} for a half of a pair.
 */
export function messageChannels({ chatUrl, smtpUrl, mailFrom, pushUrl, pushSecret }: MessageSettings): MessageChannels {
  if (pushUrl !== undefined && pushSecret === undefined)
    throw new ConfigurationError(["ONSALE_PUSH_URL needs ONSALE_PUSH_SECRET: push messages are signed."]);
  return {
    ...(chatUrl !== undefined && { chat: { url: chatUrl } }),
    ...(smtpUrl !== undefined && { mail: { url: smtpUrl, from: mailFrom } }),
    ...(pushUrl !== undefined && pushSecret !== undefined && { push: { url: pushUrl, secret: pushSecret } }),
  };
}
