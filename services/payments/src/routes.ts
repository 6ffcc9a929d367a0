import { OrderId, PaymentId, ReturnId } from "@onsale/contracts/ids";
import { AmountMinor, Currency } from "@onsale/contracts/money";
import { Instant } from "@onsale/contracts/time";
import { type HttpServer, problem } from "@onsale/http";
import type { ServiceContext } from "@onsale/runtime";
import { Type } from "typebox";
import { errors } from "./errors.ts";
import type { PaymentsPorts } from "./ports.ts";
import { receiveWebhook } from "./receive-webhook.ts";
import { showPayment } from "./show-payment.ts";
import { telemetry } from "./telemetry.ts";
import { WebhookBody } from "./webhook.ts";
import { isSigned } from "./webhook-signature.ts";

const Nullable = <Schema extends Parameters<typeof Type.Union>[0][number]>(schema: Schema) =>
  Type.Union([schema, Type.Null()]);

const PaymentView = Type.Object({
  orderId: OrderId,
  paymentId: PaymentId,
  status: Type.String(),
  amountMinor: AmountMinor,
  currency: Currency,
  capturedMinor: AmountMinor,
  refundedMinor: AmountMinor,
  providerId: Nullable(Type.String({ description: "The provider's name for the payment." })),
  openQuestion: Nullable(
    Type.Object({
      key: Type.String({ description: "The idempotency key under which the provider is asked." }),
      amountMinor: AmountMinor,
      askedAt: Instant,
      isUnsettled: Type.Boolean({ description: "Whether the answer was lost and a job asks for it." }),
    }),
  ),
  returns: Type.Array(Type.Object({ returnId: ReturnId, amountMinor: AmountMinor, state: Type.String() })),
  ledger: Type.Array(
    Type.Object({
      movement: Type.String(),
      account: Type.String(),
      amountMinor: Type.Integer(),
      currency: Currency,
      at: Instant,
    }),
  ),
  incidents: Type.Array(
    Type.Object({ what: Type.String(), movement: Nullable(Type.String()), detail: Type.String(), at: Instant }),
    {
      description: "What did not go straight, the newest first.",
    },
  ),
});

export function routes(http: HttpServer, context: ServiceContext<PaymentsPorts>): void {
  webhookRoute(http, context);

  http.get(
    "/v1/admin/payments/:orderId",
    {
      config: { access: "operator" },
      schema: {
        summary: "The payment of an order, with its ledger and what did not go straight.",
        params: Type.Object({ orderId: OrderId }),
        response: { 200: PaymentView },
      },
    },
    async ({ params: { orderId } }) => {
      const payment = await showPayment(context.database, orderId);
      if (payment === undefined) throw problem(404, errors.PAYMENT_NOT_FOUND);
      return payment;
    },
  );
}

const headerOf = (value: string | string[] | undefined): string | undefined =>
  typeof value === "string" ? value : undefined;

function webhookRoute(http: HttpServer, context: ServiceContext<PaymentsPorts>): void {
  http.post(
    "/v1/webhooks/card-provider",
    {
      // Anybody may call it; what counts is the signature over the body.
      config: { access: "public" },
      schema: {
        summary: "Takes events of the card provider (Standard Webhooks).",
        description: "200 once everything is written down. An event counts once, however often it comes.",
        body: WebhookBody,
        response: { 200: Type.Object({ accepted: Type.Integer() }) },
      },
      // Before the body is validated, so that a stranger learns nothing about its form.
      preValidation: async ({ headers, rawBody }) => {
        const message = {
          id: headerOf(headers["webhook-id"]),
          timestamp: headerOf(headers["webhook-timestamp"]),
          signature: headerOf(headers["webhook-signature"]),
          body: rawBody ?? Buffer.alloc(0),
        };
        if (isSigned(message, context.ports.webhookSecrets, Date.parse(context.ports.clock.now()))) return;
        telemetry.webhookForged();
        throw problem(401, errors.WEBHOOK_NOT_SIGNED);
      },
    },
    async ({ body: { events } }) => {
      const { refused } = await receiveWebhook(context, events);
      if (refused.length > 0) {
        throw problem(422, errors.WEBHOOK_DOES_NOT_FIT, {
          detail: `${refused.join(", ")} of ${events.length} events do not fit our payments.`,
        });
      }
      return { accepted: events.length };
    },
  );
}
