import { OrderId } from "@onsale/contracts/ids";
import { Instant } from "@onsale/contracts/time";
import type { HttpServer } from "@onsale/http";
import type { ServiceContext } from "@onsale/runtime";
import { Type } from "typebox";
import { listMessages } from "./store/message.ts";
import type { NotificationPorts } from "./tell-order-confirmed.ts";

const MessageId = OrderId;

const Message = Type.Object({
  messageId: MessageId,
  orderId: OrderId,
  kind: Type.String(),
  channel: Type.String(),
  status: Type.Union([Type.Literal("pending"), Type.Literal("sent")]),
  attempts: Type.Integer(),
  text: Type.String(),
  createdAt: Instant,
  sentAt: Type.Union([Instant, Type.Null()]),
});

const MessagePage = Type.Object({
  messages: Type.Array(Message),
  next: Type.Union([MessageId, Type.Null()], { description: "Give it as `after` for the next page; null at the end." }),
});

/** A page of messages is read by a person or a script that follows `next`. */
const maximumPage = 200;

export function routes(http: HttpServer, { database }: ServiceContext<NotificationPorts>): void {
  http.get(
    "/v1/admin/messages",
    {
      config: { access: "operator" },
      schema: {
        summary: "Messages to people, the newest first.",
        querystring: Type.Object({
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: maximumPage, default: 50 })),
          after: Type.Optional(MessageId),
          orderId: Type.Optional(OrderId),
        }),
        response: { 200: MessagePage },
      },
    },
    async ({ query: { limit = 50, after, orderId } }) => {
      const rows = await listMessages(database, { after: after ?? null, orderId: orderId ?? null, limit: limit + 1 });
      const page = rows.slice(0, limit);
      return {
        messages: page.map(({ id, ...message }) => ({ messageId: id, ...message })),
        next: rows.length > limit ? (page.at(-1)?.id ?? null) : null,
      };
    },
  );
}
