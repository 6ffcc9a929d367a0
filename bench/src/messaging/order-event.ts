import { defineEvent, fact } from "@onsale/messaging";
import { Type } from "typebox";

/** The event of all messaging benches. `note` fills it up to the size that is wanted. */
export const orderPlaced = defineEvent("order.placed.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: Type.String(), note: Type.String() }),
  sample: { orderId: "7d3a1c52-6b1f-4f0e-9d3c-0a8f7c1e5b42", note: "" },
});

/** What a payload of no note has: braces, names, quotation marks, an id of 36 characters. */
const emptyBytes = JSON.stringify(orderPlaced.sample).length;

/** A note with which the payload has so many bytes. */
export const noteFor = (payloadBytes: number): string => "x".repeat(Math.max(0, payloadBytes - emptyBytes));

export const placed = (orderId: string, note: string) =>
  fact(orderPlaced, { data: { orderId, note }, sequence: 1, cause: { correlationId: orderId } });
