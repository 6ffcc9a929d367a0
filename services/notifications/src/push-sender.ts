import { Webhook } from "standardwebhooks";
import { post, refuseOtherThanHttp } from "./post.ts";
import { toPush } from "./rendering.ts";
import type { MessageSender } from "./sender.ts";

export interface PushOptions {
  /** The gateway to the telephones' makers. One address, chosen by an operator: a person gives a token, never a URL. */
  readonly url: string;
  /** `whsec_` and base64: the gateway knows by it that we sent the message (Standard Webhooks 1.0). */
  readonly secret: string;
  /** Milliseconds since 1970: a signature says when it was made. */
  readonly now: () => number;
  readonly timeoutMs?: number;
}

/**
 * Posts `{id, to, language, title, body}` to a push gateway: `to` is the device's token, `id` the same for every attempt.
 * 404 and 410 mean that the device is gone.
 *
 * @throws TypeError when `url` is not http or https.
 */
export function pushSender({ url, secret, now, timeoutMs }: PushOptions): MessageSender {
  refuseOtherThanHttp(url);
  const webhook = new Webhook(secret);
  return {
    async send({ id, to, language, wording }, signal) {
      const body = JSON.stringify({ id, to, language, ...toPush(wording) });
      const at = new Date(now());
      const headers = {
        "webhook-id": id,
        "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
        "webhook-signature": webhook.sign(id, at, body),
      };
      await post({ url, headers, body, timeoutMs }, faultOf, signal);
    },
  };
}

const refusedStatuses = new Set([400, 404, 410, 413, 422]);

/** What the gateway says of one device or one message is final; everything else is about the gateway. */
const faultOf = (status: number) => (refusedStatuses.has(status) ? "refused" : "line");
