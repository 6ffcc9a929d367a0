/** What every piece of news makes of an order at every place, for each way to pay. What is not named changes nothing. */

import { nothingPaid, type Order } from "../src/order.ts";
import type { OrderMethod } from "../src/order-saga.ts";
import type { Word } from "./shop.ts";

export type Cell = Word | "cancel" | `overdue ${string}`;

/** Places of an order. What is told of money is written down anywhere, and "captured" always tells of some. */
export type Table = Readonly<
  Record<string, { readonly order?: Partial<Order>; readonly cells: Partial<Record<Cell, string>> }>
>;

const withdrawn = (reason: string) => `backward authorise-payment | order.withdrawn | PENDING ${reason}`;
const cancelledNow = (reason: string) => `undone owed reserve-stock | order.cancelled | CANCELLED ${reason}`;
const noted = (place: string, status: string) => `${place} | - | ${status}`;

const card: Table = {
  "forward reserve-stock": {
    cells: {
      reserved: "forward authorise-payment | order.payable | PENDING",
      rejected: "undone | order.rejected | REJECTED SOLD_OUT",
      cancel: cancelledNow("CANCELLED_BY_BUYER"),
      "overdue reserve-stock": cancelledNow("TIMED_OUT"),
    },
  },
  "forward authorise-payment": {
    cells: {
      authorised: "forward confirm-stock | order.authorised | PENDING",
      declined: withdrawn("PAYMENT_DECLINED"),
      cancel: withdrawn("CANCELLED_BY_BUYER"),
      "overdue authorise-payment": withdrawn("TIMED_OUT"),
    },
  },
  "forward confirm-stock": {
    cells: {
      confirmed: "forward capture-payment | order.secured | PENDING",
      lapsed: withdrawn("HOLD_EXPIRED"),
      cancel: withdrawn("CANCELLED_BY_BUYER"),
      "overdue confirm-stock": withdrawn("TIMED_OUT"),
    },
  },
  "forward capture-payment": {
    cells: {
      captured: "completed | order.confirmed | CONFIRMED",
      captureRefused: withdrawn("PAYMENT_FAILED"),
      cancel: withdrawn("CANCELLED_BY_BUYER"),
      "overdue capture-payment": withdrawn("TIMED_OUT"),
    },
  },
  completed: {
    order: { balance: { ...nothingPaid, paidMinor: 1530 } },
    cells: {
      cancel: "backward authorise-payment | order.withdrawn | CONFIRMED CANCELLED_BY_BUYER",
      reversed: noted("completed", "CONFIRMED"),
    },
  },
  "backward authorise-payment": {
    cells: {
      reversed: "undone owed reserve-stock | order.rejected | REJECTED PAYMENT_DECLINED",
      reversing: "undone owed authorise-payment,reserve-stock | order.rejected | REJECTED PAYMENT_DECLINED",
      "overdue undo authorise-payment":
        "undone owed authorise-payment,reserve-stock | order.rejected | REJECTED PAYMENT_DECLINED",
    },
  },
  undone: {
    cells: {},
  },
  "undone owed reserve-stock": {
    cells: {
      released: "undone | - | CANCELLED TIMED_OUT | settled reserve-stock",
      rejected: "undone | - | CANCELLED TIMED_OUT | settled reserve-stock",
      "overdue owed reserve-stock": "undone owed reserve-stock | - | CANCELLED TIMED_OUT | call reserve-stock",
    },
  },
  "undone owed authorise-payment,reserve-stock": {
    order: { balance: { ...nothingPaid, paidMinor: 1530 } },
    cells: {
      reversed: "undone owed reserve-stock | - | CANCELLED TIMED_OUT | settled authorise-payment",
      released: "undone owed authorise-payment | - | CANCELLED TIMED_OUT | settled reserve-stock",
      rejected: "undone owed authorise-payment | - | CANCELLED TIMED_OUT | settled reserve-stock",
      "overdue owed authorise-payment":
        "undone owed authorise-payment,reserve-stock | - | CANCELLED TIMED_OUT | call authorise-payment",
      "overdue owed reserve-stock":
        "undone owed authorise-payment,reserve-stock | - | CANCELLED TIMED_OUT | call reserve-stock",
    },
  },
  "undone owed authorise-payment": {
    order: { balance: { ...nothingPaid, paidMinor: 1530 } },
    cells: {
      reversed: "undone | - | CANCELLED TIMED_OUT | settled authorise-payment",
      "overdue owed authorise-payment":
        "undone owed authorise-payment | - | CANCELLED TIMED_OUT | call authorise-payment",
    },
  },
};

const wallet: Table = {
  "forward reserve-stock": {
    cells: {
      reserved: "forward hold-points | order.points-payable | PENDING",
      rejected: "undone | order.rejected | REJECTED SOLD_OUT",
      cancel: "undone owed reserve-stock | order.cancelled | CANCELLED CANCELLED_BY_BUYER",
      "overdue reserve-stock": "undone owed reserve-stock | order.cancelled | CANCELLED TIMED_OUT",
    },
  },
  "forward hold-points": {
    cells: {
      pointsHeld: "forward confirm-stock | order.authorised | PENDING",
      pointsRefused: "undone owed reserve-stock | order.rejected | REJECTED INSUFFICIENT_POINTS",
      cancel: "backward hold-points | order.withdrawn | PENDING CANCELLED_BY_BUYER",
      "overdue hold-points": "backward hold-points | order.withdrawn | PENDING TIMED_OUT",
    },
  },
  undone: { cells: {} },
  "undone owed reserve-stock": {
    cells: {
      rejected: "undone | - | CANCELLED TIMED_OUT | settled reserve-stock",
      released: "undone | - | CANCELLED TIMED_OUT | settled reserve-stock",
      "overdue owed reserve-stock": "undone owed reserve-stock | - | CANCELLED TIMED_OUT | call reserve-stock",
    },
  },
  "forward confirm-stock": {
    cells: {
      confirmed: "completed | order.confirmed | CONFIRMED",
      lapsed: "backward hold-points | order.withdrawn | PENDING HOLD_EXPIRED",
      cancel: "backward hold-points | order.withdrawn | PENDING CANCELLED_BY_BUYER",
      "overdue confirm-stock": "backward hold-points | order.withdrawn | PENDING TIMED_OUT",
    },
  },
  "backward hold-points": {
    cells: {
      pointsRefused: "undone owed reserve-stock | order.rejected | REJECTED PAYMENT_DECLINED",
      pointsReleased: "undone owed reserve-stock | order.rejected | REJECTED PAYMENT_DECLINED",
      "overdue undo hold-points": "undone owed hold-points,reserve-stock | order.rejected | REJECTED PAYMENT_DECLINED",
    },
  },
  completed: {
    cells: {
      cancel: "backward hold-points | order.withdrawn | CONFIRMED CANCELLED_BY_BUYER",
    },
  },
  "undone owed hold-points,reserve-stock": {
    cells: {
      rejected: "undone owed hold-points | - | CANCELLED TIMED_OUT | settled reserve-stock",
      released: "undone owed hold-points | - | CANCELLED TIMED_OUT | settled reserve-stock",
      pointsRefused: "undone owed reserve-stock | - | CANCELLED TIMED_OUT | settled hold-points",
      pointsReleased: "undone owed reserve-stock | - | CANCELLED TIMED_OUT | settled hold-points",
      "overdue owed reserve-stock":
        "undone owed hold-points,reserve-stock | - | CANCELLED TIMED_OUT | call reserve-stock",
      "overdue owed hold-points": "undone owed hold-points,reserve-stock | - | CANCELLED TIMED_OUT | call hold-points",
    },
  },
  "undone owed hold-points": {
    cells: {
      pointsRefused: "undone | - | CANCELLED TIMED_OUT | settled hold-points",
      pointsReleased: "undone | - | CANCELLED TIMED_OUT | settled hold-points",
      "overdue owed hold-points": "undone owed hold-points | - | CANCELLED TIMED_OUT | call hold-points",
    },
  },
};

const split: Table = {
  "forward reserve-stock": {
    cells: {
      reserved: "forward hold-points | order.points-payable | PENDING",
      rejected: "undone | order.rejected | REJECTED SOLD_OUT",
      cancel: "undone owed reserve-stock | order.cancelled | CANCELLED CANCELLED_BY_BUYER",
      "overdue reserve-stock": "undone owed reserve-stock | order.cancelled | CANCELLED TIMED_OUT",
    },
  },
  "forward hold-points": {
    cells: {
      pointsHeld: "forward authorise-payment | order.payable | PENDING",
      pointsRefused: "undone owed reserve-stock | order.rejected | REJECTED INSUFFICIENT_POINTS",
      cancel: "backward hold-points | order.withdrawn | PENDING CANCELLED_BY_BUYER",
      "overdue hold-points": "backward hold-points | order.withdrawn | PENDING TIMED_OUT",
    },
  },
  undone: { cells: {} },
  "undone owed reserve-stock": {
    cells: {
      rejected: "undone | - | CANCELLED TIMED_OUT | settled reserve-stock",
      released: "undone | - | CANCELLED TIMED_OUT | settled reserve-stock",
      "overdue owed reserve-stock": "undone owed reserve-stock | - | CANCELLED TIMED_OUT | call reserve-stock",
    },
  },
  "forward authorise-payment": {
    cells: {
      authorised: "forward confirm-stock | order.authorised | PENDING",
      declined: "backward authorise-payment,hold-points | order.withdrawn | PENDING PAYMENT_DECLINED",
      cancel: "backward authorise-payment,hold-points | order.withdrawn | PENDING CANCELLED_BY_BUYER",
      "overdue authorise-payment": "backward authorise-payment,hold-points | order.withdrawn | PENDING TIMED_OUT",
    },
  },
  "backward hold-points": {
    cells: {
      pointsRefused: "undone owed reserve-stock | order.rejected | REJECTED PAYMENT_DECLINED",
      pointsReleased: "undone owed reserve-stock | order.rejected | REJECTED PAYMENT_DECLINED",
      "overdue undo hold-points": "undone owed hold-points,reserve-stock | order.rejected | REJECTED PAYMENT_DECLINED",
    },
  },
  "forward confirm-stock": {
    cells: {
      confirmed: "forward capture-payment | order.secured | PENDING",
      lapsed: "backward authorise-payment,hold-points | order.withdrawn | PENDING HOLD_EXPIRED",
      cancel: "backward authorise-payment,hold-points | order.withdrawn | PENDING CANCELLED_BY_BUYER",
      "overdue confirm-stock": "backward authorise-payment,hold-points | order.withdrawn | PENDING TIMED_OUT",
    },
  },
  "backward authorise-payment,hold-points": {
    cells: {
      reversing: "backward hold-points owed authorise-payment | - | PENDING PAYMENT_DECLINED",
      reversed: "backward hold-points | - | PENDING PAYMENT_DECLINED",
      pointsRefused: "backward authorise-payment | - | PENDING PAYMENT_DECLINED",
      pointsReleased: "backward authorise-payment | - | PENDING PAYMENT_DECLINED",
      "overdue undo hold-points": "backward authorise-payment owed hold-points | - | PENDING PAYMENT_DECLINED",
      "overdue undo authorise-payment": "backward hold-points owed authorise-payment | - | PENDING PAYMENT_DECLINED",
    },
  },
  "undone owed hold-points,reserve-stock": {
    cells: {
      rejected: "undone owed hold-points | - | CANCELLED TIMED_OUT | settled reserve-stock",
      released: "undone owed hold-points | - | CANCELLED TIMED_OUT | settled reserve-stock",
      pointsRefused: "undone owed reserve-stock | - | CANCELLED TIMED_OUT | settled hold-points",
      pointsReleased: "undone owed reserve-stock | - | CANCELLED TIMED_OUT | settled hold-points",
      "overdue owed reserve-stock":
        "undone owed hold-points,reserve-stock | - | CANCELLED TIMED_OUT | call reserve-stock",
      "overdue owed hold-points": "undone owed hold-points,reserve-stock | - | CANCELLED TIMED_OUT | call hold-points",
    },
  },
  "forward capture-payment": {
    cells: {
      captured: "completed | order.confirmed | CONFIRMED",
      captureRefused: "backward authorise-payment,hold-points | order.withdrawn | PENDING PAYMENT_FAILED",
      cancel: "backward authorise-payment,hold-points | order.withdrawn | PENDING CANCELLED_BY_BUYER",
      "overdue capture-payment": "backward authorise-payment,hold-points | order.withdrawn | PENDING TIMED_OUT",
    },
  },
  "backward hold-points owed authorise-payment": {
    cells: {
      reversed: "backward hold-points | - | PENDING PAYMENT_DECLINED | settled authorise-payment",
      pointsRefused: "undone owed authorise-payment,reserve-stock | order.rejected | REJECTED PAYMENT_DECLINED",
      pointsReleased: "undone owed authorise-payment,reserve-stock | order.rejected | REJECTED PAYMENT_DECLINED",
      "overdue undo hold-points":
        "undone owed authorise-payment,hold-points,reserve-stock | order.rejected | REJECTED PAYMENT_DECLINED",
      "overdue owed authorise-payment":
        "backward hold-points owed authorise-payment | - | PENDING PAYMENT_DECLINED | call authorise-payment",
    },
  },
  "backward authorise-payment": {
    cells: {
      reversing: "undone owed authorise-payment,reserve-stock | order.rejected | REJECTED PAYMENT_DECLINED",
      reversed: "undone owed reserve-stock | order.rejected | REJECTED PAYMENT_DECLINED",
      "overdue undo authorise-payment":
        "undone owed authorise-payment,reserve-stock | order.rejected | REJECTED PAYMENT_DECLINED",
    },
  },
  "backward authorise-payment owed hold-points": {
    cells: {
      reversing: "undone owed authorise-payment,hold-points,reserve-stock | order.rejected | REJECTED PAYMENT_DECLINED",
      reversed: "undone owed hold-points,reserve-stock | order.rejected | REJECTED PAYMENT_DECLINED",
      pointsRefused: "backward authorise-payment | - | PENDING PAYMENT_DECLINED | settled hold-points",
      pointsReleased: "backward authorise-payment | - | PENDING PAYMENT_DECLINED | settled hold-points",
      "overdue owed hold-points":
        "backward authorise-payment owed hold-points | - | PENDING PAYMENT_DECLINED | call hold-points",
      "overdue undo authorise-payment":
        "undone owed authorise-payment,hold-points,reserve-stock | order.rejected | REJECTED PAYMENT_DECLINED",
    },
  },
  "undone owed hold-points": {
    cells: {
      pointsRefused: "undone | - | CANCELLED TIMED_OUT | settled hold-points",
      pointsReleased: "undone | - | CANCELLED TIMED_OUT | settled hold-points",
      "overdue owed hold-points": "undone owed hold-points | - | CANCELLED TIMED_OUT | call hold-points",
    },
  },
  completed: {
    cells: {
      cancel: "backward authorise-payment,hold-points | order.withdrawn | CONFIRMED CANCELLED_BY_BUYER",
    },
  },
  "undone owed authorise-payment,reserve-stock": {
    cells: {
      rejected: "undone owed authorise-payment | - | CANCELLED TIMED_OUT | settled reserve-stock",
      released: "undone owed authorise-payment | - | CANCELLED TIMED_OUT | settled reserve-stock",
      reversed: "undone owed reserve-stock | - | CANCELLED TIMED_OUT | settled authorise-payment",
      "overdue owed reserve-stock":
        "undone owed authorise-payment,reserve-stock | - | CANCELLED TIMED_OUT | call reserve-stock",
      "overdue owed authorise-payment":
        "undone owed authorise-payment,reserve-stock | - | CANCELLED TIMED_OUT | call authorise-payment",
    },
  },
  "undone owed authorise-payment,hold-points,reserve-stock": {
    cells: {
      rejected: "undone owed authorise-payment,hold-points | - | CANCELLED TIMED_OUT | settled reserve-stock",
      released: "undone owed authorise-payment,hold-points | - | CANCELLED TIMED_OUT | settled reserve-stock",
      reversed: "undone owed hold-points,reserve-stock | - | CANCELLED TIMED_OUT | settled authorise-payment",
      pointsRefused: "undone owed authorise-payment,reserve-stock | - | CANCELLED TIMED_OUT | settled hold-points",
      pointsReleased: "undone owed authorise-payment,reserve-stock | - | CANCELLED TIMED_OUT | settled hold-points",
      "overdue owed reserve-stock":
        "undone owed authorise-payment,hold-points,reserve-stock | - | CANCELLED TIMED_OUT | call reserve-stock",
      "overdue owed hold-points":
        "undone owed authorise-payment,hold-points,reserve-stock | - | CANCELLED TIMED_OUT | call hold-points",
      "overdue owed authorise-payment":
        "undone owed authorise-payment,hold-points,reserve-stock | - | CANCELLED TIMED_OUT | call authorise-payment",
    },
  },
  "undone owed authorise-payment": {
    cells: {
      reversed: "undone | - | CANCELLED TIMED_OUT | settled authorise-payment",
      "overdue owed authorise-payment":
        "undone owed authorise-payment | - | CANCELLED TIMED_OUT | call authorise-payment",
    },
  },
  "undone owed authorise-payment,hold-points": {
    cells: {
      reversed: "undone owed hold-points | - | CANCELLED TIMED_OUT | settled authorise-payment",
      pointsRefused: "undone owed authorise-payment | - | CANCELLED TIMED_OUT | settled hold-points",
      pointsReleased: "undone owed authorise-payment | - | CANCELLED TIMED_OUT | settled hold-points",
      "overdue owed hold-points":
        "undone owed authorise-payment,hold-points | - | CANCELLED TIMED_OUT | call hold-points",
      "overdue owed authorise-payment":
        "undone owed authorise-payment,hold-points | - | CANCELLED TIMED_OUT | call authorise-payment",
    },
  },
};

export const tables: Readonly<Record<OrderMethod, Table>> = { card, wallet, split };
