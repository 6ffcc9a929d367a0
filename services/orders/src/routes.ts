import { hash } from "node:crypto";
import { IntakeFullError } from "@onsale/batch";
import type { Sku } from "@onsale/contracts/ids";
import {
  answered,
  type HttpServer,
  httpErrors,
  idempotencyOf,
  idempotently,
  keyInProgress,
  keyReused,
  ProblemError,
  type ProblemPart,
  problem,
  type RequestCause,
  type ServerSentEvent,
  sendEvents,
} from "@onsale/http";
import { isLockTimeout } from "@onsale/postgres";
import type { ServiceContext } from "@onsale/runtime";
import { type Static, Type } from "typebox";
import { cancelOrder } from "./cancel-order.ts";
import { errors } from "./errors.ts";
import { historyRoutes } from "./history-routes.ts";
import { LiveHistory } from "./live-history.ts";
import type { HistoryEntry } from "./order.ts";
import { type OrderGate, passGate } from "./order-gate.ts";
import {
  type BatchOrder,
  BatchResults,
  CancelAnswer,
  CancelWish,
  NewOrder,
  OrderBatch,
  OrderDetails,
  OrderPage,
  OrderPath,
  PageWish,
  PlacedOrder,
} from "./order-schemas.ts";
import { type OrderIntake, openIntake, placeOrder } from "./place-order.ts";
import type { PlacedAnswer, Placement } from "./place-orders.ts";
import { type PlacementRefusal, type RequestedLine, toBasket } from "./placement.ts";
import type { OrderPorts } from "./ports.ts";
import { returnLines } from "./return-lines.ts";
import { returnAnswer, returnRoutes } from "./return-routes.ts";
import type { ReturnAnswer } from "./return-schemas.ts";
import { ownOrder, shown, shownWhole } from "./show-order.ts";
import { listOrders, readOrder } from "./store/order.ts";
import { readAllocations } from "./store/order-allocation.ts";
import { readLines } from "./store/order-line.ts";
import { returnsOfOrder } from "./store/order-return.ts";
import { telemetry } from "./telemetry.ts";

type Context = ServiceContext<OrderPorts>;

export function routes(http: HttpServer, context: Context): void {
  const intake = openIntake(context.database, context.ports);
  placing(http, context, intake);
  batches(http, context, intake);
  reading(http, context);
  watching(http, context);
  cancelling(http, context);
  returnRoutes(http, context);
  historyRoutes(http, context);
}

function placing(http: HttpServer, context: Context, intake: OrderIntake): void {
  http.post(
    "/v1/orders",
    {
      config: { access: "buyer", idempotent: true },
      schema: {
        summary: "Place an order.",
        description: "Accepted is not confirmed: ask for the order, or watch its events.",
        body: NewOrder,
        response: { 202: PlacedOrder },
      },
    },
    async (request, reply) => {
      const { person, cause, body } = request;
      const placed = await place({ ...context, gate: context.ports.gate }, intake, body.lines, {
        claim: idempotencyOf(request),
        buyerId: person.id,
        currency: body.currency,
        payment: paymentOf(body.payment),
        holdIds: body.holdIds ?? [],
        cause,
      });
      reply.header("location", `/v1/orders/${placed.answer.orderId}`);
      return answered(reply, { status: 202, body: placed.answer, replayed: placed.replayed });
    },
  );
}

const paymentOf = ({ method, pointsMinor }: Static<typeof NewOrder>["payment"]) => ({
  method,
  pointsMinor: pointsMinor ?? null,
});

type PlacementWish = Omit<Placement, "lines">;

/** @throws {ProblemError} for everything that keeps the order from being accepted. */
async function place(
  { feeds, database, gate }: Context & { readonly gate?: OrderGate | undefined },
  intake: OrderIntake,
  lines: readonly RequestedLine[],
  wish: PlacementWish,
): Promise<{ answer: PlacedAnswer; replayed: boolean }> {
  const basket = toBasket(lines);
  if (basket.kind === "refused") throw placementProblem(basket, lines);
  const placement = { ...wish, lines: basket.lines };
  // What an order brings is off the shelf already: the gate, which knows shelves alone, has nothing to say of it.
  const asked = wish.holdIds.length > 0 ? undefined : gate;
  const outcome = await passGate({ gate: asked, database }, placement, () =>
    placeOrder(intake, feeds, placement),
  ).catch((error) => {
    throw intakeProblem(error);
  });
  if (outcome.kind === "sold-out") throw placementProblem(soldOut(outcome.skus), lines);
  if (outcome.kind === "catalog-unheard") throw problem(503, errors.CATALOG_UNHEARD, { retryAfterSeconds: 1 });
  if (outcome.kind === "key-reused") throw keyReused();
  if (outcome.kind === "refused") throw placementProblem(outcome, lines);
  return outcome;
}

const soldOut = (skus: PlacementRefusal["skus"]): PlacementRefusal => ({
  kind: "refused",
  code: "SOLD_OUT",
  detail: "There is not enough left of what the order names.",
  skus,
});

/** A failure of the intake as a problem where it is one; anything else is passed on. */
function intakeProblem(error: unknown): unknown {
  if (error instanceof IntakeFullError)
    return problem(503, httpErrors.OVERLOADED, { retryAfterSeconds: 1, cause: error });
  // The one lock that a placement can wait for is that of its key, held by another process.
  return isLockTimeout(error) ? keyInProgress(error) : error;
}

// Enough to mend a basket by.
const partsTold = 20;

function placementProblem(
  { code, detail, skus, pricesMinor }: PlacementRefusal,
  lines: readonly RequestedLine[],
): ProblemError {
  telemetry.placementRefused({ code });
  const inTheWay = new Set(skus);
  const lineDetail = (sku: Sku): string =>
    pricesMinor ? `${sku}: a unit costs ${pricesMinor.get(sku)} now.` : `${sku}: ${errors[code].title}`;
  const parts = lines.flatMap(({ sku }, index): ProblemPart[] =>
    inTheWay.has(sku) ? [{ pointer: `/lines/${index}`, in: "body", detail: lineDetail(sku) }] : [],
  );
  const status = code === "SOLD_OUT" || code === "PRICE_CHANGED" ? 409 : 422;
  return problem(status, errors[code], { detail, ...(parts.length > 0 && { errors: parts.slice(0, partsTold) }) });
}

// A thousand orders with a few lines each; a thousand baskets of a thousand lines come in several batches.
const batchBytes = 8 * 1024 * 1024;

function batches(http: HttpServer, context: Context, intake: OrderIntake): void {
  http.post(
    "/v1/order-batches",
    {
      config: { access: "operator" },
      bodyLimit: batchBytes,
      schema: {
        summary: "Place the orders of a channel.",
        description:
          "For a point of sale, a telephone desk or a marketplace's feed. Each order is decided on its own, under its own " +
          "idempotency key; the whole may be sent again. An order without `buyerId` belongs to the channel's own account.",
        body: OrderBatch,
        response: { 200: BatchResults },
      },
    },
    async ({ body, person, cause }) => ({
      results: await Promise.all(
        body.orders.map((order) => placeOfBatch(context, intake, order, { channelId: person.id, cause })),
      ),
    }),
  );
}

async function placeOfBatch(
  context: Context,
  intake: OrderIntake,
  order: Static<typeof BatchOrder>,
  { channelId, cause }: { readonly channelId: string; readonly cause: RequestCause },
): Promise<Static<typeof BatchResults>["results"][number]> {
  const { idempotencyKey, buyerId = channelId, currency, lines, payment } = order;
  const fingerprint = hash("sha256", JSON.stringify(["order-batch", buyerId, currency, lines, payment]), "base64");
  const claim = { personId: channelId, key: idempotencyKey, fingerprint };
  try {
    const { answer } = await place(context, intake, lines, {
      claim,
      buyerId,
      currency,
      payment: paymentOf(payment),
      holdIds: [],
      cause,
    });
    return answer;
  } catch (error) {
    return { problem: problemOfOne(error) };
  }
}

/** What is wrong with one order of a batch. What is wrong with the server is the whole batch's problem. */
function problemOfOne(error: unknown): {
  status: number;
  code: string;
  title: string;
  detail: string;
  retryable: boolean;
} {
  if (!(error instanceof ProblemError)) throw error;
  const { status, definition, options } = error;
  const { code, title, retryable } = definition;
  return { status, code, title, detail: options.detail ?? title, retryable };
}

function reading(http: HttpServer, { database }: Context): void {
  http.get(
    "/v1/orders/:orderId",
    {
      config: { access: "buyer" },
      schema: { summary: "One order of yours.", params: OrderPath, response: { 200: OrderDetails } },
    },
    async ({ params: { orderId }, person }) => {
      const [order, lines, allocations, returns] = await Promise.all([
        readOrder(database, orderId),
        readLines(database, orderId),
        readAllocations(database, orderId),
        returnsOfOrder(database, orderId),
      ]);
      return shownWhole(ownOrder(order, person), { lines, allocations, returns });
    },
  );

  http.get(
    "/v1/orders",
    {
      config: { access: "buyer" },
      schema: { summary: "Your orders, the newest first.", querystring: PageWish, response: { 200: OrderPage } },
    },
    async ({ query: { limit = 20, after }, person }) => {
      const rows = await listOrders(database, { buyerId: person.id, after: after ?? null, limit: limit + 1 });
      const page = rows.slice(0, limit);
      return { orders: page.map(shown), next: rows.length > limit ? (page.at(-1)?.orderId ?? null) : null };
    },
  );
}

function watching(http: HttpServer, { database }: Context): void {
  const histories = new LiveHistory(database);
  http.get(
    "/v1/orders/:orderId/events",
    {
      config: { access: "buyer" },
      schema: {
        summary: "An order's steps as server-sent events.",
        description: "The steps so far, then each as it comes. Ends after the one that ends the order.",
        params: OrderPath,
        headers: Type.Object({ "last-event-id": Type.Optional(Type.String()) }, { additionalProperties: true }),
      },
    },
    async (request, reply) => {
      const order = ownOrder(await readOrder(database, request.params.orderId), request.person);
      const after = lastVersionSeen(request.headers["last-event-id"]);
      const nothingToCome = order.status !== "PENDING" && order.version <= after;
      sendEvents(reply, (signal) =>
        nothingToCome ? none() : toEvents(histories.follow(order.orderId, after, signal)),
      );
    },
  );
}

async function* none(): AsyncGenerator<never> {}

async function* toEvents(entries: AsyncIterable<HistoryEntry>): AsyncGenerator<ServerSentEvent> {
  for await (const { orderId, version, at, what, status, reason, amountMinor } of entries) {
    yield { id: String(version), data: { orderId, version, at, what, status, reason, amountMinor } };
  }
}

/** What a client that comes back has seen; whatever is no number of ours means nothing. */
function lastVersionSeen(lastEventId: string | undefined): number {
  return lastEventId !== undefined && /^\d{1,9}$/.test(lastEventId) ? Number(lastEventId) : 0;
}

function cancelling(http: HttpServer, { database, ports }: Context): void {
  http.post(
    "/v1/orders/:orderId/cancel",
    {
      config: { access: "buyer" },
      schema: {
        summary: "Cancel an order, before or after it was paid.",
        description:
          "What was paid is given back, then the goods. To ask again changes nothing, so no Idempotency-Key is needed. " +
          "With lines, only these pieces of a confirmed order are given back, and that needs a key.",
        params: OrderPath,
        body: CancelWish,
        response: { 202: CancelAnswer },
      },
    },
    async (request, reply) => {
      const { params, body, person, cause } = request;
      const { orderId } = params;
      if (body?.lines) {
        const wish = { orderId, buyerId: person.id, lines: body.lines, kind: "CANCELLATION", cause } as const;
        const answer = await idempotently(database, idempotencyOf(request), async (tx) => ({
          status: 202,
          body: cancelAnswer(returnAnswer(orderId, await returnLines(tx, wish, ports))),
        }));
        return answered(reply, answer);
      }
      const outcome = await cancelOrder(database, { orderId, buyerId: person.id, cause }, ports);
      switch (outcome.kind) {
        case "not-found":
          throw problem(404, errors.ORDER_NOT_FOUND);
        case "rejected":
          throw problem(409, errors.ORDER_REJECTED);
        case "accepted":
          reply.code(202);
          return { orderId, status: outcome.status };
      }
    },
  );
}

const cancelAnswer = ({ lapsesAt: _, ...answer }: Static<typeof ReturnAnswer>) => ({
  ...answer,
  status: "CONFIRMED" as const,
});
