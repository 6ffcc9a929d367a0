/** What has become of an order, in words: for its buyer, and with everything behind it for an operator. */

import { BuyerId } from "@onsale/contracts/ids";
import { Instant } from "@onsale/contracts/time";
import { type HttpServer, problem } from "@onsale/http";
import type { Queryable } from "@onsale/postgres";
import type { ServiceContext } from "@onsale/runtime";
import { deadlinesOfKey, openTasksOfKey } from "@onsale/saga";
import { type Static, Type } from "typebox";
import { errors } from "./errors.ts";
import { inWords } from "./history-in-words.ts";
import { sagaName } from "./order-saga.ts";
import { OrderDetails, OrderPath } from "./order-schemas.ts";
import type { OrderPorts } from "./ports.ts";
import { ownOrder, shownWhole } from "./show-order.ts";
import { type OrderView, readOrder } from "./store/order.ts";
import { readAllocations } from "./store/order-allocation.ts";
import { readHistory } from "./store/order-history.ts";
import { readLines } from "./store/order-line.ts";
import { returnsOfOrder } from "./store/order-return.ts";

const Sentences = Type.Array(
  Type.Object({
    version: Type.Integer({ minimum: 1 }),
    at: Instant,
    who: Type.String({ description: "The buyer, an operator, or the service that said so." }),
    sentence: Type.String(),
  }),
);

const OrderForOperator = Type.Object({
  ...OrderDetails.properties,
  buyerId: BuyerId,
  history: Sentences,
  deadlines: Type.Array(
    Type.Object({
      wait: Type.String({ description: "`look`, a step, or the undo of one." }),
      awaits: Type.Union([Type.String(), Type.Null()], { description: "The service whose answer is waited for." }),
      dueAt: Instant,
    }),
  ),
  tasks: Type.Array(
    Type.Object({ taskId: Type.String(), kind: Type.String(), what: Type.String(), openedAt: Instant }),
  ),
});

// An order has a dozen steps; one with a thousand returned pieces, one by one, has some thousands.
const stepsShown = 10_000;

export function historyRoutes(http: HttpServer, { database }: ServiceContext<OrderPorts>): void {
  http.get(
    "/v1/orders/:orderId/history",
    {
      config: { access: "buyer" },
      schema: {
        summary: "What has become of an order of yours, in words.",
        params: OrderPath,
        response: { 200: Type.Object({ history: Sentences }) },
      },
    },
    async ({ params: { orderId }, person }) => ({
      history: await historyOf(database, ownOrder(await readOrder(database, orderId), person)),
    }),
  );

  http.get(
    "/v1/admin/orders/:orderId",
    {
      config: { access: "operator" },
      schema: {
        summary: "Any order: who bears its price, its history, what it waits for, and the tasks about it.",
        params: OrderPath,
        response: { 200: OrderForOperator },
      },
    },
    async ({ params: { orderId } }): Promise<Static<typeof OrderForOperator>> => {
      const order = await readOrder(database, orderId);
      if (!order) throw problem(404, errors.ORDER_NOT_FOUND);
      const [lines, allocations, returns, history, deadlines, tasks] = await Promise.all([
        readLines(database, orderId),
        readAllocations(database, orderId),
        returnsOfOrder(database, orderId),
        historyOf(database, order),
        deadlinesOfKey(database, { saga: sagaName, key: orderId }),
        openTasksOfKey(database, orderId),
      ]);
      return {
        ...shownWhole(order, { lines, allocations, returns }),
        buyerId: order.buyerId,
        history,
        deadlines: deadlines.map(({ wait, awaits = null, dueAt }) => ({ wait, awaits, dueAt })),
        tasks: tasks.map(({ taskId, kind, what, openedAt }) => ({ taskId, kind, what, openedAt })),
      };
    },
  );
}

const historyOf = async (queryable: Queryable, { orderId, currency }: OrderView) =>
  inWords(await readHistory(queryable, [{ orderId, after: 0 }], stepsShown), currency);
