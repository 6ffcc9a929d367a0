import type { OrderId } from "@onsale/contracts/ids";
import { answered, type HttpServer, idempotencyOf, idempotently, problem } from "@onsale/http";
import type { ServiceContext } from "@onsale/runtime";
import type { Static } from "typebox";
import { errors } from "./errors.ts";
import { type InspectionOutcome, inspectReturn } from "./inspect-return.ts";
import { OrderPath } from "./order-schemas.ts";
import type { OrderPorts } from "./ports.ts";
import type { Finding } from "./return-inspection.ts";
import { type ReturnOutcome, returnLines } from "./return-lines.ts";
import {
  InspectionReport,
  OpenReturns,
  OpenReturnsWish,
  ReturnAnswer,
  ReturnForOperator,
  ReturnPath,
  ReturnPolicy,
  ReturnPolicyWish,
  ReturnWish,
} from "./return-schemas.ts";
import { shownToOperator } from "./show-return.ts";
import { openReturns, readReturn } from "./store/order-return.ts";
import { insertPolicy, readPolicy } from "./store/return-policy.ts";
import { telemetry } from "./telemetry.ts";

type Context = ServiceContext<OrderPorts>;

export function returnRoutes(http: HttpServer, context: Context): void {
  asking(http, context);
  looking(http, context);
  inspecting(http, context);
  choosing(http, context);
}

function asking(http: HttpServer, { database, ports }: Context): void {
  http.post(
    "/v1/orders/:orderId/returns",
    {
      config: { access: "buyer", idempotent: true },
      schema: {
        summary: "Send back what was bought.",
        description:
          "The price of what comes back is refunded, and the goods go back on the shelf. Where the shop looks at them " +
          "first, the return is REQUESTED until somebody has, or until it lapses.",
        params: OrderPath,
        body: ReturnWish,
        response: { 202: ReturnAnswer },
      },
    },
    async (request, reply) => {
      const { params, body, person, cause } = request;
      const wish = { orderId: params.orderId, buyerId: person.id, lines: body.lines, kind: "RETURN", cause } as const;
      const answer = await idempotently(database, idempotencyOf(request), async (tx) => ({
        status: 202,
        body: returnAnswer(params.orderId, await returnLines(tx, wish, ports)),
      }));
      return answered(reply, answer);
    },
  );
}

// Enough to mend a wish by.
const skusTold = 20;

/** @throws {ProblemError} for everything that keeps units from coming back. */
export function returnAnswer(orderId: OrderId, outcome: ReturnOutcome): Static<typeof ReturnAnswer> {
  switch (outcome.kind) {
    case "not-found":
      throw problem(404, errors.ORDER_NOT_FOUND);
    case "undecided":
      throw problem(409, errors.ORDER_UNDECIDED);
    case "not-returnable":
      throw problem(409, errors.ORDER_NOT_RETURNABLE);
    case "more-than-held":
      throw problem(422, errors.RETURN_EXCEEDS_ORDER, {
        detail: `Fewer pieces are left, or none were ordered, of: ${outcome.skus.slice(0, skusTold).join(", ")}.`,
      });
    case "requested": {
      const { returnId, currency, lapsesAt } = outcome;
      return { orderId, returnId, status: "REQUESTED", refundMinor: 0, pointsMinor: 0, currency, lapsesAt };
    }
    case "accepted": {
      const { returnId, refundMinor, pointsMinor, currency } = outcome;
      return { orderId, returnId, status: "ACCEPTED", refundMinor, pointsMinor, currency, lapsesAt: null };
    }
  }
}

function looking(http: HttpServer, { database }: Context): void {
  http.get(
    "/v1/admin/returns",
    {
      config: { access: "operator" },
      schema: {
        summary: "Returns that somebody has still to look at, the oldest first.",
        querystring: OpenReturnsWish,
        response: { 200: OpenReturns },
      },
    },
    async ({ query: { limit = 20, after } }) => {
      const rows = await openReturns(database, { after: after ?? null, limit: limit + 1 });
      const page = rows.slice(0, limit);
      return { returns: page.map(shownToOperator), next: rows.length > limit ? (page.at(-1)?.returnId ?? null) : null };
    },
  );

  http.get(
    "/v1/admin/returns/:returnId",
    {
      config: { access: "operator" },
      schema: {
        summary: "One return: what was to come back, and what was found.",
        params: ReturnPath,
        response: { 200: ReturnForOperator },
      },
    },
    async ({ params: { returnId } }) => {
      const found = await readReturn(database, returnId);
      if (!found) throw problem(404, errors.RETURN_NOT_FOUND);
      return shownToOperator(found);
    },
  );
}

function inspecting(http: HttpServer, { database, ports }: Context): void {
  http.post(
    "/v1/admin/returns/:returnId/inspection",
    {
      config: { access: "operator", idempotent: true },
      schema: {
        summary: "Says what was found when a return was looked at.",
        description: "What is taken is paid back, with what it was paid. 200 where the same was said before.",
        params: ReturnPath,
        body: InspectionReport,
        response: { 200: ReturnForOperator, 201: ReturnForOperator },
      },
    },
    async (request, reply) => {
      const { params, body, person, cause } = request;
      const findings = body.lines.map((line): Finding => ({ reason: null, ...line }));
      const report = { ...params, findings, note: body.note ?? null, inspectedBy: person.id, cause };
      const answer = await idempotently(database, idempotencyOf(request), async (tx) => {
        const outcome = await inspectReturn(tx, report, ports);
        if (!("after" in outcome)) throw inspectionProblem(outcome);
        return { status: outcome.kind === "inspected" ? 201 : 200, body: shownToOperator(outcome.after) };
      });
      return answered(reply, answer);
    },
  );
}

function inspectionProblem(refusal: Exclude<InspectionOutcome, { readonly kind: "inspected" | "repeated" }>) {
  switch (refusal.kind) {
    case "unknown-return":
      return problem(404, errors.RETURN_NOT_FOUND);
    case "not-awaited":
      return problem(409, errors.RETURN_NOT_AWAITED);
    case "lapsed":
      return problem(409, errors.RETURN_LAPSED);
    case "contradicted":
      return problem(409, errors.RETURN_CONTRADICTED);
    case "does-not-add-up":
      return problem(422, errors.RETURN_DOES_NOT_ADD_UP, {
        detail: `As many pieces have to be found as were to come back, of: ${refusal.skus.slice(0, skusTold).join(", ")}.`,
      });
    default:
      return refusal satisfies never;
  }
}

function choosing(http: HttpServer, { database }: Context): void {
  http.get(
    "/v1/admin/return-policy",
    {
      config: { access: "operator" },
      schema: { summary: "How the shop takes returns.", response: { 200: ReturnPolicy } },
    },
    () => readPolicy(database),
  );

  http.put(
    "/v1/admin/return-policy",
    {
      config: { access: "operator" },
      schema: {
        summary: "Chooses how the shop takes returns from now on.",
        description: "What was asked for before goes on as it began. Each choice is kept, with who made it.",
        body: ReturnPolicyWish,
        response: { 200: ReturnPolicy },
      },
    },
    async ({ body, person }) => {
      const policy = await insertPolicy(database, { ...body, changedBy: person.id });
      telemetry.returnPolicyChanged({ version: policy.version, inspect: policy.inspect });
      return policy;
    },
  );
}
