import { defineFact } from "@onsale/runtime";

export const telemetry = {
  ordersPlaced: defineFact("orders placed", { counter: "onsale_orders_placed_total" }),
  placementRefused: defineFact("placement refused", { counter: "onsale_placements_refused_total", labels: ["code"] }),
  turnedAway: defineFact("turned away at the gate", {
    counter: "onsale_orders_turned_away_total",
    labels: ["asked"],
  }),
  orderEnded: defineFact("orders ended", { counter: "onsale_orders_ended_total", labels: ["status"] }),
  orderUnknown: defineFact("news of an order that is not known", {
    counter: "onsale_orders_unknown_total",
    level: "warn",
  }),
  orderOverdue: defineFact("order overdue", {
    counter: "onsale_orders_overdue_total",
    labels: ["wait"],
    level: "info",
  }),
  orderReturned: defineFact("order returned", { counter: "onsale_orders_returned_total" }),
  returnRequested: defineFact("return requested", { counter: "onsale_orders_returns_requested_total" }),
  returnInspected: defineFact("return inspected", { counter: "onsale_orders_returns_inspected_total" }),
  returnLapsed: defineFact("returns lapsed", { counter: "onsale_orders_returns_lapsed_total" }),
  returnPolicyChanged: defineFact("return policy changed", { level: "info" }),
  historyUnread: defineFact("histories could not be read", {
    counter: "onsale_orders_history_unread_total",
    level: "warn",
  }),
  personCalled: defineFact("a person is called", { counter: "onsale_orders_person_called_total", level: "warn" }),
};
