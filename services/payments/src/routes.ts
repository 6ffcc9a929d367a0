import { OrderId, PaymentId, ReturnId } from "@onsale/contracts/ids";
import { AmountMinor, Currency } from "@onsale/contracts/money";
import { Instant } from "@onsale/contracts/time";
import { type HttpServer, problem } from "@onsale/http";
import type { ServiceContext } from "@onsale/runtime";
import { Type } from "typebox";
import { errors } from "./errors.ts";
import type { PaymentsPorts } from "./ports.ts";
import { receiveWebhook } from "./receive-webhook.ts";
import { reconciliationRoutes } from "./reconciliation-routes.ts";
import { showPayment } from "./show-payment.ts";
import { hastenAsking } from "./store/unsettled.ts";
import { showProviders, switchByHand } from "./switch-provider.ts";
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
  provider: Nullable(Type.String({ description: "The provider that it was given to." })),
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
  statusHintRoute(http, context);
  providerRoutes(http, context);
  reconciliationRoutes(http, context);

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

const ProviderName = Type.String({ minLength: 1, maxLength: 32, pattern: "^[a-z0-9-]+$" });
const ProvidersView = Type.Object({
  active: Type.String({ description: "Whom new payments go to." }),
  activeSince: Nullable(Instant),
  providers: Type.Array(
    Type.Object({
      provider: Type.String(),
      state: Type.Enum(["UP", "DOWN"]),
      since: Nullable(Instant),
      failures: Type.Integer({ description: "Calls without an answer in the rule's window, since its last trouble." }),
      isPendingLong: Type.Boolean({ description: "Whether an authorisation has been unknown for too long." }),
    }),
  ),
  incidents: Type.Array(
    Type.Object({
      what: Type.String({ description: "DOWN, SWITCHED or RECOVERED." }),
      provider: Type.String(),
      why: Type.String(),
      doneBy: Nullable(Type.String({ description: "The operator who did it; null where the rule did." })),
      at: Instant,
    }),
    { description: "The newest first." },
  ),
});

function providerRoutes(http: HttpServer, { database, ports }: ServiceContext<PaymentsPorts>): void {
  http.get(
    "/v1/admin/payment-providers",
    {
      config: { access: "operator" },
      schema: {
        summary: "The card providers: who is down, whom new payments go to.",
        response: { 200: ProvidersView },
      },
    },
    () => showProviders(database, ports),
  );

  http.post(
    "/v1/admin/payment-providers/active",
    {
      config: { access: "operator" },
      schema: {
        summary: "Gives new payments to another card provider. Those that were begun stay where they are.",
        body: Type.Object({ provider: ProviderName, reason: Type.String({ minLength: 3, maxLength: 200 }) }),
        response: { 200: ProvidersView },
      },
    },
    async ({ body, person, cause }) => {
      const outcome = await switchByHand(database, ports, { ...body, operatorId: person.id, cause });
      switch (outcome) {
        case "done":
          return await showProviders(database, ports);
        case "unknown":
          throw problem(404, errors.PROVIDER_NOT_FOUND);
        case "down":
          throw problem(409, errors.PROVIDER_DOWN);
        default:
          return outcome satisfies never;
      }
    },
  );
}

/** What is known of a webhook that nobody signed: it says about which order to ask. */
const StatusHint = Type.Object(
  {
    eventType: Type.Literal("PAYMENT_STATUS_CHANGED"),
    data: Type.Object({ orderId: OrderId }, { additionalProperties: true }),
  },
  { additionalProperties: true },
);

function statusHintRoute(http: HttpServer, { database }: ServiceContext<PaymentsPorts>): void {
  http.post(
    "/v1/webhooks/payment-status/:provider",
    {
      config: { access: "public" },
      schema: {
        summary: "Takes hints of a provider that signs nothing (Toss Payments' PAYMENT_STATUS_CHANGED).",
        description:
          "Nothing in it is believed: where a question about the order is open, the provider is asked at once. So whoever sends one can make nobody pay, and learns nothing.",
        params: Type.Object({ provider: ProviderName }),
        body: StatusHint,
        response: { 200: Type.Object({}) },
      },
    },
    async ({ params: { provider }, body: { data } }) => {
      await hastenAsking(database, { orderId: data.orderId, provider });
      return {};
    },
  );
}

const headerOf = (value: string | string[] | undefined): string | undefined =>
  typeof value === "string" ? value : undefined;

function webhookRoute(http: HttpServer, context: ServiceContext<PaymentsPorts>): void {
  http.post(
    "/v1/webhooks/card-providers/:provider",
    {
      // Anybody may call it; what counts is the signature over the body.
      config: { access: "public" },
      schema: {
        summary: "Takes events of a card provider (Standard Webhooks).",
        description: "200 once everything is written down. An event counts once, however often it comes.",
        params: Type.Object({ provider: ProviderName }),
        body: WebhookBody,
        response: { 200: Type.Object({ accepted: Type.Integer() }) },
      },
      // Before the body is validated, so that a stranger learns nothing about its form.
      preValidation: async ({ params, headers, rawBody }) => {
        const message = {
          id: headerOf(headers["webhook-id"]),
          timestamp: headerOf(headers["webhook-timestamp"]),
          signature: headerOf(headers["webhook-signature"]),
          body: rawBody ?? Buffer.alloc(0),
        };
        const { provider } = params as { provider?: string };
        const secrets = context.ports.providers.find(({ name }) => name === provider)?.webhookSecrets ?? [];
        if (isSigned(message, secrets, Date.parse(context.ports.clock.now()))) return;
        telemetry.webhookForged();
        throw problem(401, errors.WEBHOOK_NOT_SIGNED);
      },
    },
    async ({ params: { provider }, body: { events } }) => {
      const { refused } = await receiveWebhook(context, provider, events);
      if (refused.length > 0) {
        throw problem(422, errors.WEBHOOK_DOES_NOT_FIT, {
          detail: `${refused.join(", ")} of ${events.length} events do not fit our payments.`,
        });
      }
      return { accepted: events.length };
    },
  );
}
