import { answered, type HttpServer, idempotencyOf, idempotently, problem } from "@onsale/http";
import type { ServiceContext } from "@onsale/runtime";
import { Type } from "typebox";
import { adjustStock } from "./adjust-stock.ts";
import { errors } from "./errors.ts";
import { holdRoutes } from "./hold-routes.ts";
import { type Inspected, inspectReceipt } from "./inspect-receipt.ts";
import { limitBuyers } from "./limit-buyers.ts";
import { mainLocation } from "./location.ts";
import { locationRoutes } from "./location-routes.ts";
import type { InventoryPorts } from "./ports.ts";
import { receiveGoods } from "./receive-goods.ts";
import { reportFairness } from "./report-fairness.ts";
import {
  Adjustment,
  Fairness,
  Inspection,
  NewAdjustment,
  NewInspection,
  NewReceipt,
  PerBuyerLimit,
  Receipt,
  ReceiptPath,
  SkuInPath,
  Stock,
} from "./stock-schemas.ts";
import { inspectionOf, receiptOf } from "./store/receipt.ts";
import { stockOf } from "./store/stock.ts";
import { unitRoutes } from "./unit-routes.ts";

export function routes(http: HttpServer, context: ServiceContext<InventoryPorts>): void {
  receiving(http, context);
  inspecting(http, context);
  adjusting(http, context);
  limiting(http, context);
  locationRoutes(http, context);
  unitRoutes(http, context);
  holdRoutes(http, context);
}

function receiving(http: HttpServer, { database, ports }: ServiceContext<InventoryPorts>): void {
  http.post(
    "/v1/admin/stock-receipts",
    {
      config: { access: "operator", idempotent: true },
      schema: {
        summary: "Puts goods that came in on the shelf, or aside until they are inspected.",
        description: "200 where the receipt number came before for this SKU with the same contents: nothing is added.",
        body: NewReceipt,
        response: { 200: Receipt, 201: Receipt },
      },
    },
    async (request, reply) => {
      const { receiptNumber = null, inspect = false, location = mainLocation, ...goods } = request.body;
      const delivery = {
        ...goods,
        location,
        receiptNumber,
        inspect,
        receivedBy: request.person.id,
        cause: request.cause,
      };
      const answer = await idempotently(database, idempotencyOf(request), async (tx) => {
        const received = await receiveGoods(tx, delivery, ports);
        if (received.kind === "unknown-location") throw problem(422, errors.LOCATION_NOT_FOUND);
        if (received.kind === "named-units") throw problem(409, errors.UNITS_HAVE_NAMES);
        if (received.kind === "number-reused") throw problem(409, errors.RECEIPT_NUMBER_REUSED);
        return { status: received.kind === "received" ? 201 : 200, body: received.receipt };
      });
      return answered(reply, answer);
    },
  );

  http.get(
    "/v1/admin/stock-receipts/:receiptId",
    {
      config: { access: "operator" },
      schema: {
        summary: "One receipt, and what was found when it was looked at.",
        params: ReceiptPath,
        response: {
          200: Type.Object({ ...Receipt.properties, inspection: Type.Union([Inspection, Type.Null()]) }),
        },
      },
    },
    async ({ params: { receiptId } }) => {
      const [receipt, found] = await Promise.all([receiptOf(database, receiptId), inspectionOf(database, receiptId)]);
      if (!receipt) throw problem(404, errors.RECEIPT_NOT_FOUND);
      return { ...receipt, inspection: found ? shownInspection(receipt, found) : null };
    },
  );
}

function inspecting(http: HttpServer, { database }: ServiceContext<InventoryPorts>): void {
  http.post(
    "/v1/admin/stock-receipts/:receiptId/inspection",
    {
      config: { access: "operator", idempotent: true },
      schema: {
        summary: "Says what was found when a receipt was looked at.",
        description:
          "What is accepted is for sale, what is damaged goes into quarantine, and the rest was not in the box. 200 where " +
          "the same was said before.",
        params: ReceiptPath,
        body: NewInspection,
        response: { 200: Inspection, 201: Inspection },
      },
    },
    async (request, reply) => {
      const { note = null, ...found } = request.body;
      const { receiptId } = request.params;
      const report = { ...found, receiptId, note, inspectedBy: request.person.id, cause: request.cause };
      const answer = await idempotently(database, idempotencyOf(request), async (tx) => {
        const inspected = await inspectReceipt(tx, report);
        if (!("receipt" in inspected) || inspected.kind === "too-many") throw inspectionProblem(inspected);
        return {
          status: inspected.kind === "inspected" ? 201 : 200,
          body: shownInspection(inspected.receipt, report),
        };
      });
      return answered(reply, answer);
    },
  );
}

const shownInspection = (
  { receiptId, sku, units }: { receiptId: string; sku: string; units: number },
  { accepted, damaged }: { accepted: number; damaged: number },
) => ({ receiptId, sku, accepted, damaged, missing: units - accepted - damaged });

function inspectionProblem(refusal: Exclude<Inspected, { readonly kind: "inspected" | "repeated" }>) {
  switch (refusal.kind) {
    case "unknown-receipt":
      return problem(404, errors.RECEIPT_NOT_FOUND);
    case "not-awaited":
      return problem(409, errors.RECEIPT_NOT_AWAITED);
    case "named-units":
      return problem(409, errors.UNITS_HAVE_NAMES);
    case "contradicted":
      return problem(409, errors.INSPECTION_CONTRADICTED);
    case "too-many":
      return problem(422, errors.INSPECTION_EXCEEDS_RECEIPT, { detail: `${refusal.receipt.units} came in.` });
    default:
      return refusal satisfies never;
  }
}

function adjusting(http: HttpServer, { database, ports }: ServiceContext<InventoryPorts>): void {
  http.post(
    "/v1/admin/stock-adjustments",
    {
      config: { access: "operator", idempotent: true },
      schema: {
        summary: "Changes by hand what is on the shelf or in quarantine, with a reason.",
        description:
          "COUNTED and CORRECTION go both ways, FOUND adds, LOST, STOLEN and OWN_USE take off the shelf. DAMAGED moves " +
          "from the shelf into quarantine, CLEARED back, and DISPOSED takes out of quarantine for good.",
        body: NewAdjustment,
        response: { 201: Adjustment },
      },
    },
    async (request, reply) => {
      const { note = null, location = mainLocation, ...wish } = request.body;
      const adjustment = { ...wish, location, note, adjustedBy: request.person.id, cause: request.cause };
      const answer = await idempotently(database, idempotencyOf(request), async (tx) => {
        const adjusted = await adjustStock(tx, adjustment, ports);
        if (adjusted.kind === "unknown-sku") throw problem(404, errors.STOCK_NOT_FOUND);
        if (adjusted.kind === "named-units") throw problem(409, errors.UNITS_HAVE_NAMES);
        if (adjusted.kind === "wrong-way") throw problem(422, errors.ADJUSTMENT_WRONG_WAY);
        if (adjusted.kind === "too-many")
          throw problem(409, errors.ADJUSTMENT_EXCEEDS_STOCK, { detail: `${adjusted.there} are there.` });
        const stock = (await stockOf(tx, wish.sku)) ?? refuseUnknown();
        return { status: 201, body: { adjustmentId: adjusted.adjustmentId, stock } };
      });
      return answered(reply, answer);
    },
  );
}

function limiting(http: HttpServer, { database }: ServiceContext<InventoryPorts>): void {
  http.get(
    "/v1/admin/stock/:sku",
    {
      config: { access: "operator" },
      schema: { summary: "What there is of one SKU.", params: SkuInPath, response: { 200: Stock } },
    },
    async ({ params: { sku } }) => (await stockOf(database, sku)) ?? refuseUnknown(),
  );

  http.get(
    "/v1/admin/stock/:sku/fairness",
    {
      config: { access: "operator" },
      schema: {
        summary: "Who came and who was served, for the last units of a SKU.",
        params: SkuInPath,
        response: { 200: Fairness },
      },
    },
    async ({ params: { sku } }) =>
      database.transaction(
        async (tx) => {
          if (!(await stockOf(tx, sku))) refuseUnknown();
          return await reportFairness(tx, sku);
        },
        { isolation: "repeatable read" },
      ),
  );

  http.put(
    "/v1/admin/stock/:sku/per-buyer-limit",
    {
      config: { access: "operator" },
      schema: {
        summary: "Sets or lifts the most that one buyer may take.",
        description: "It is never lowered once a unit is held or sold under it: 409.",
        params: SkuInPath,
        body: Type.Object({ perBuyerLimit: PerBuyerLimit }),
        response: { 200: Stock },
      },
    },
    async ({ params: { sku }, body: { perBuyerLimit } }) => {
      const limited = await database.transaction((tx) => limitBuyers(tx, sku, perBuyerLimit));
      if (limited === "unknown-sku") refuseUnknown();
      if (limited === "lowered") throw problem(409, errors.LIMIT_LOWERED);
      return (await stockOf(database, sku)) ?? refuseUnknown();
    },
  );
}

function refuseUnknown(): never {
  throw problem(404, errors.STOCK_NOT_FOUND);
}
