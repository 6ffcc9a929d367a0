import { Currency } from "@onsale/contracts/money";
import { Instant, NamedInstant } from "@onsale/contracts/time";
import { answered, type HttpServer, idempotencyOf, idempotently, problem } from "@onsale/http";
import { databaseNow } from "@onsale/postgres";
import type { ServiceContext } from "@onsale/runtime";
import { Type } from "typebox";
import { errors } from "./errors.ts";
import type { PaymentsPorts } from "./ports.ts";
import { beginReconciliation, findingLimit, showReconciliation } from "./reconcile.ts";

const RunId = Type.String({ format: "uuid" });

const RunView = Type.Object({
  runId: RunId,
  repairs: Type.Boolean(),
  since: Type.Union([Instant, Type.Null()], { description: "Payments that began before it were not compared." }),
  startedAt: Instant,
  endedAt: Type.Union([Instant, Type.Null()], { description: "Null while it is under way." }),
  failure: Type.Union([Type.String(), Type.Null()], { description: "Why it could not be finished." }),
  lines: Type.Integer({ description: "Lines of the providers' statements." }),
  orders: Type.Integer({ description: "Orders that were compared." }),
  findings: Type.Array(
    Type.Object({
      findingId: Type.String(),
      kind: Type.Enum(["MISSING", "DIFFERENT", "DUPLICATE", "UNKNOWN"]),
      provider: Type.String(),
      about: Type.String({ description: "Our key of the movement, or the provider's name for the payment." }),
      reference: Type.String({ description: "The order, or what the provider was told as one." }),
      providerId: Type.Union([Type.String(), Type.Null()]),
      amountMinor: Type.Integer(),
      currency: Currency,
      detail: Type.String(),
      repair: Type.Enum(["ASK", "GIVE_BACK", "PERSON"]),
      state: Type.Enum(["OPEN", "REPAIRED", "TASK"]),
    }),
    { maxItems: findingLimit },
  ),
});

export function reconciliationRoutes(http: HttpServer, { database, ports }: ServiceContext<PaymentsPorts>): void {
  http.post(
    "/v1/admin/payments/reconciliations",
    {
      config: { access: "operator", idempotent: true },
      schema: {
        summary: "Compares our ledger with the card providers', and repairs what can be repaired where that is wished.",
        body: Type.Object({
          repair: Type.Boolean(),
          since: Type.Optional({
            ...NamedInstant,
            description: "Compares only payments that began since, and their refunds. Absent: everything.",
          }),
        }),
        response: { 202: Type.Object({ runId: RunId }) },
      },
    },
    async (request, reply) => {
      const { repair: repairs, since = null } = request.body;
      const wish = { repairs, since, operatorId: request.person.id };
      const answer = await idempotently(database, idempotencyOf(request), async (tx) => {
        if (since !== null && since > (await databaseNow(tx))) throw problem(422, errors.RECONCILIATION_PERIOD);
        const runId = await beginReconciliation(tx, ports, wish);
        if (runId === undefined) throw problem(409, errors.RECONCILIATION_UNDER_WAY);
        return { status: 202, body: { runId } };
      });
      return answered(reply, answer);
    },
  );

  http.get(
    "/v1/admin/payments/reconciliations/:runId",
    {
      config: { access: "operator" },
      schema: {
        summary: "How far a comparison of the ledgers is, and what it found.",
        params: Type.Object({ runId: RunId }),
        response: { 200: RunView },
      },
    },
    async ({ params: { runId } }) => {
      const run = await showReconciliation(database, runId);
      if (run === undefined) throw problem(404, errors.RECONCILIATION_NOT_FOUND);
      return run;
    },
  );
}
