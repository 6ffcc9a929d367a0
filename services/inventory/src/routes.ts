import { Sku } from "@onsale/contracts/ids";
import { Units } from "@onsale/contracts/money";
import { answered, type HttpServer, idempotencyOf, idempotently, problem } from "@onsale/http";
import type { ServiceContext } from "@onsale/runtime";
import { Type } from "typebox";
import { errors } from "./errors.ts";
import { receiveGoods } from "./receive-goods.ts";
import { limitBuyers, stockOf } from "./store/stock.ts";

const ReceiptNumber = Type.String({
  minLength: 1,
  maxLength: 64,
  pattern: "^[^\\u0000-\\u001f\\u007f]+$",
  description: "The purchase order's number. It counts once per SKU, however often it is delivered.",
});

const Receipt = Type.Object({
  receiptId: Type.String({ description: "Receipt id, a UUID." }),
  receiptNumber: Type.Union([ReceiptNumber, Type.Null()]),
  sku: Sku,
  units: Units,
});

const Pieces = Type.Integer({ minimum: 0, description: "Pieces." });
const PerBuyerLimit = Type.Union([Type.Integer({ minimum: 1, maximum: 1_000_000 }), Type.Null()], {
  description:
    "The most that one buyer may take; null where anybody may take all. It counts what is taken from when it was set.",
});

const Stock = Type.Object({
  sku: Sku,
  received: Pieces,
  held: Pieces,
  sold: Pieces,
  available: Pieces,
  perBuyerLimit: PerBuyerLimit,
});

const SkuInPath = Type.Object({ sku: Sku });

export function routes(http: HttpServer, { database, ports }: ServiceContext): void {
  http.post(
    "/v1/admin/stock-receipts",
    {
      config: { access: "operator", idempotent: true },
      schema: {
        summary: "Puts goods that came in on the shelf.",
        description: "200 where the receipt number came before for this SKU with as many units: nothing is added.",
        body: Type.Object({ sku: Sku, units: Units, receiptNumber: Type.Optional(ReceiptNumber) }),
        response: { 200: Receipt, 201: Receipt },
      },
    },
    async (request, reply) => {
      const { sku, units, receiptNumber = null } = request.body;
      const delivery = { sku, units, receiptNumber, receivedBy: request.person.id, cause: request.cause };
      const answer = await idempotently(database, idempotencyOf(request), async (tx) => {
        const received = await receiveGoods(tx, delivery, ports);
        if (received.kind === "number-reused") throw problem(409, errors.RECEIPT_NUMBER_REUSED);
        return { status: received.kind === "received" ? 201 : 200, body: received.receipt };
      });
      return answered(reply, answer);
    },
  );

  http.get(
    "/v1/admin/stock/:sku",
    {
      config: { access: "operator" },
      schema: { summary: "What there is of one SKU.", params: SkuInPath, response: { 200: Stock } },
    },
    async ({ params: { sku } }) => (await stockOf(database, sku)) ?? refuseUnknown(),
  );

  http.put(
    "/v1/admin/stock/:sku/per-buyer-limit",
    {
      config: { access: "operator" },
      schema: {
        summary: "Sets or lifts the most that one buyer may take.",
        params: SkuInPath,
        body: Type.Object({ perBuyerLimit: PerBuyerLimit }),
        response: { 200: Stock },
      },
    },
    async ({ params: { sku }, body: { perBuyerLimit } }) => {
      if (!(await limitBuyers(database, sku, perBuyerLimit))) refuseUnknown();
      return (await stockOf(database, sku)) ?? refuseUnknown();
    },
  );
}

function refuseUnknown(): never {
  throw problem(404, errors.STOCK_NOT_FOUND);
}
