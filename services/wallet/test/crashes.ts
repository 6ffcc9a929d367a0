import type { Delivered } from "@onsale/messaging";
import type { Database } from "@onsale/postgres";
import { everyCrashPoint } from "@onsale/testing";
import { books, charge, confirmed, content, hear, ledger, payable, register, states, told } from "./books.ts";

// Wherever a use case is broken off, the same events delivered again must lead to where an undisturbed delivery leads: the
// same balances, lots, ledger and states, and the same facts told, each once.
export const crashTimeoutMs = 120_000;

export const outcome = async (database: Database) => ({
  books: await books(database),
  ledger: await ledger(database),
  states: await states(database),
  told: await told(database),
});

export const everyCrashOf = (
  consumer: string,
  events: readonly Delivered[],
  prepare: (database: Database) => Promise<void>,
) =>
  everyCrashPoint({
    content,
    schema: "wallet",
    prepare,
    deliver: (database) => hear(database, consumer, events),
    outcome,
  });

const inTime = { time: "2026-11-22T00:00:00.000Z" };

/** Two buyers have accounts; one has a lot that has ended since, and one that never does. */
export const filled = async (database: Database): Promise<void> => {
  await register(database, 1, 2);
  await charge(database, 50, { name: "soon", expiresAt: "2026-11-22T01:00:00.000Z" });
  await charge(database, 50, { name: "late" });
};

export const orders = [payable(1, 60, inTime), payable(2, 60, inTime), payable(3, 10, { ...inTime, buyer: 2 })];
export const held = async (database: Database): Promise<void> => {
  await filled(database);
  await hear(database, "hold-points", orders);
};

export const ends = [confirmed(1, { pointsMinor: 60 }), confirmed(4, { buyer: 2 })];
export const spent = async (database: Database): Promise<void> => {
  await held(database);
  await hear(database, "confirm-points", ends);
};
