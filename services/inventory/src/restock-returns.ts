import type { OrderId } from "@onsale/contracts/ids";
import { stockRestocked } from "@onsale/contracts/inventory";
import type { orderReturned } from "@onsale/contracts/orders";
import { causedBy, type Delivered, fact, publish } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { type Movement, movesOf } from "./ledger.ts";
import { moveUnits } from "./move-units.ts";
import { decideRestocks, moveOf, type Restocked, type ReturnWish } from "./returned-goods.ts";
import { lockAllocations, storeVersions } from "./store/allocation.ts";
import { giveBackUnits, holdsOf, insertRestocks } from "./store/hold.ts";
import { telemetry } from "./telemetry.ts";

type Returned = Delivered<typeof orderReturned>;

/**
 * Puts returned units back on the shelf, or aside where they are damaged, each return once. A return of an order that has nothing any more, because it was
 * cancelled, puts nothing back: the cancellation did.
 */
export async function restockReturns(tx: Transaction, returned: readonly Returned[]): Promise<void> {
  const wishes = returned.map((event): ReturnWish => ({ ...event.data, cause: causedBy(event) }));
  const orderIds = [...new Set(wishes.map(({ orderId }) => orderId))];
  const [allocations, kept] = await Promise.all([lockAllocations(tx, orderIds), holdsOf(tx, orderIds)]);
  const sold = new Map(allocations.filter(({ state }) => state === "SOLD").map((it) => [it.allocationId, it]));
  const fresh = await insertRestocks(
    tx,
    wishes.filter(({ orderId }) => sold.has(orderId)),
  );

  const restocked = decideRestocks(sold, kept, firstOfEachReturn(wishes, fresh));

  await store(tx, restocked);
  tx.afterCommit(() => telemetry.stockRestocked({ count: restocked.length }));
}

function firstOfEachReturn(wishes: readonly ReturnWish[], fresh: ReadonlySet<string>): ReturnWish[] {
  const left = new Set(fresh);
  return wishes.filter(({ returnId }) => left.delete(returnId));
}

async function store(tx: Transaction, restocked: readonly Restocked[]): Promise<void> {
  if (restocked.length === 0) return;
  const lines = restocked.flatMap(({ wish, lines }) => lines.map((line) => ({ orderId: wish.orderId, ...line })));
  await Promise.all([
    giveBackUnits(tx, lines),
    // The last version of an order is the one that stays.
    storeVersions(tx, new Map<OrderId, number>(restocked.map(({ wish, version }) => [wish.orderId, version]))),
    moveUnits(tx, restocked.flatMap(movements)),
    publish(tx, restocked.map(announcement)),
  ]);
}

const movements = ({ wish: { orderId, returnId, cause }, lines }: Restocked): Movement[] =>
  lines.flatMap((line) =>
    movesOf(line, {
      kind: moveOf(line.damage),
      orderId,
      documentId: returnId,
      limitedBuyer: line.limitedBuyer,
      cause,
    }),
  );

const announcement = ({ wish: { orderId, returnId, cause }, version }: Restocked) =>
  fact(stockRestocked, { data: { orderId, returnId }, sequence: version, cause });
