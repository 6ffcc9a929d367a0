import { post, refuseOtherThanHttp } from "./post.ts";
import { toChat } from "./rendering.ts";
import type { MessageSender } from "./sender.ts";

/**
 * Sends to a chat's incoming webhook, in Slack's shape, with the message's id in the header `webhook-id`.
 *
 * @throws TypeError when `url` is not http or https.
 */
export function chatSender({ url, timeoutMs }: { url: string; timeoutMs?: number }): MessageSender {
  refuseOtherThanHttp(url);
  return {
    send: ({ id, wording }, signal) =>
      post({ url, headers: { "webhook-id": id }, body: JSON.stringify(toChat(wording)), timeoutMs }, faultOf, signal),
  };
}

/** A chat that does not like the form of one message takes others; a hook that is gone, forbidden or down takes none. */
const faultOf = (status: number) => (status === 400 || status === 413 || status === 422 ? "message" : "line");
