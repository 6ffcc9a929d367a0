import { defineFact } from "@onsale/runtime";

export const telemetry = {
  stockReserved: defineFact("stock reserved", { counter: "onsale_stock_reserved_total" }),
  stockRefused: defineFact("stock refused", { counter: "onsale_stock_refused_total", labels: ["reason"] }),
  stockConfirmed: defineFact("stock confirmed", { counter: "onsale_stock_confirmed_total" }),
  stockLapsed: defineFact("stock lapsed", { counter: "onsale_stock_lapsed_total", level: "warn" }),
  stockReleased: defineFact("stock released", { counter: "onsale_stock_released_total" }),
  stockExpired: defineFact("stock expired", { counter: "onsale_stock_expired_total", level: "warn" }),
  stockRestocked: defineFact("stock restocked", { counter: "onsale_stock_restocked_total" }),
  holdsTaken: defineFact("holds taken", { counter: "onsale_holds_taken_total" }),
  holdsRefused: defineFact("holds refused", { counter: "onsale_holds_refused_total", labels: ["reason"] }),
  holdsGivenUp: defineFact("hold given up", { counter: "onsale_holds_given_up_total" }),
  stockAdjusted: defineFact("stock adjusted", { counter: "onsale_stock_adjusted_total", labels: ["reason"] }),
  receiptInspected: defineFact("receipt inspected", { counter: "onsale_receipts_inspected_total" }),
  goodsSent: defineFact("goods sent", { counter: "onsale_goods_sent_total" }),
  goodsArrived: defineFact("goods arrived", { counter: "onsale_goods_arrived_total" }),
  goodsReceived: defineFact("goods received", { counter: "onsale_goods_received_total" }),
};
