import { OrderId } from "@onsale/contracts/ids";
import { type HttpServer, problem } from "@onsale/http";
import type { ServiceContext } from "@onsale/runtime";
import { Type } from "typebox";
import { bulkMessageRoutes } from "./bulk-message-routes.ts";
import { errors } from "./errors.ts";
import type { Content } from "./message.ts";
import type { NotificationPorts } from "./ports.ts";
import { resend } from "./resend.ts";
import { ChannelName, LinePage, MessageId, MessagePage, MessageStatusName, PageLimit, ResendWish } from "./schemas.ts";
import { settingsRoutes } from "./settings-routes.ts";
import { showLines } from "./store/line.ts";
import { listMessages, resendDead } from "./store/message.ts";
import { unsubscribeRoutes } from "./unsubscribe-routes.ts";
import { wordingOf } from "./wording.ts";

type Context = ServiceContext<NotificationPorts>;

export function routes(http: HttpServer, context: Context): void {
  settingsRoutes(http, context);
  listing(http, context);
  lines(http, context);
  resending(http, context);
  bulkMessageRoutes(http, context);
  unsubscribeRoutes(http, context);
}

function listing(http: HttpServer, { database }: Context): void {
  http.get(
    "/v1/admin/messages",
    {
      config: { access: "operator" },
      schema: {
        summary: "Messages to people, the newest first.",
        description: "Status `kept`: the shop has no such channel, and the message stays here.",
        querystring: Type.Object({
          limit: PageLimit,
          after: Type.Optional(MessageId),
          orderId: Type.Optional(OrderId),
          status: Type.Optional(MessageStatusName),
          channel: Type.Optional(ChannelName),
        }),
        response: { 200: MessagePage },
      },
    },
    async ({ query: { limit = 50, ...wish } }) => {
      const rows = await listMessages(database, { ...wish, limit: limit + 1 });
      const page = rows.slice(0, limit);
      return {
        messages: page.map(({ id, facts, ...message }) => ({
          ...{ messageId: id, ...message },
          text: textOf({ kind: message.kind, facts } as Content, message.language),
        })),
        next: rows.length > limit ? (page.at(-1)?.id ?? null) : null,
      };
    },
  );
}

/** The words as they are shown to others than their reader: a code is for its reader alone. */
function textOf(content: Content, language: string): string {
  const shown: Content =
    content.kind === "confirm-address" ? { kind: content.kind, facts: { code: "********" } } : content;
  const { title, lines } = wordingOf(shown, language);
  return [title, ...lines].join("\n");
}

function lines(http: HttpServer, { database, ports }: Context): void {
  http.get(
    "/v1/admin/message-channels",
    {
      config: { access: "operator" },
      schema: { summary: "How each channel fares.", response: { 200: LinePage } },
    },
    async () => {
      const rows = await showLines(database);
      return { channels: rows.map((row) => ({ ...row, isConfigured: ports.senders[row.channel] !== undefined })) };
    },
  );
}

function resending(http: HttpServer, { database }: Context): void {
  http.post(
    "/v1/admin/messages/:messageId/resend",
    {
      config: { access: "operator" },
      schema: {
        summary: "Have a dead message sent again, under its old id.",
        params: Type.Object({ messageId: MessageId }),
        response: { 202: Type.Object({ messageId: MessageId, status: Type.Literal("pending") }) },
      },
    },
    async ({ params: { messageId } }, reply) => {
      const outcome = await resend(database, messageId);
      if (outcome === "unknown") throw problem(404, errors.MESSAGE_NOT_FOUND);
      if (outcome === "not-dead") throw problem(409, errors.MESSAGE_NOT_DEAD);
      reply.code(202);
      return { messageId, status: "pending" as const };
    },
  );

  http.post(
    "/v1/admin/dead-messages/resend",
    {
      config: { access: "operator" },
      schema: {
        summary: "Have the oldest dead messages of a channel sent again, those of bulk messages excepted.",
        body: ResendWish,
        response: { 202: Type.Object({ resent: Type.Integer({ minimum: 0 }) }) },
      },
    },
    async ({ body: { channel, limit = 1_000 } }, reply) => {
      reply.code(202);
      return { resent: await resendDead(database, channel, limit) };
    },
  );
}
