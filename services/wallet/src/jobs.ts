import { forgetOldKeys } from "@onsale/http";
import type { Job } from "@onsale/runtime";
import { callForCompensations } from "@onsale/saga";
import { compensations } from "./compensations.ts";
import { expirePoints } from "./expire-points.ts";
import { expireVouchers } from "./issue-vouchers.ts";
import type { WalletPorts } from "./ports.ts";

// Some hundred short row locks at a time: a transaction of a few milliseconds, so that no buyer's batch waits for it.
const expiryBatch = 200;

export const jobs: readonly Job<WalletPorts>[] = [
  {
    name: "wallet.expire-points",
    // Points end on a day; what is past its end is shown and held as ended before this job has come.
    everyMs: 30_000,
    async run({ database }, signal) {
      let expired: number;
      do expired = await database.transaction((tx) => expirePoints(tx, expiryBatch));
      while (expired === expiryBatch && !signal.aborted);
    },
  },
  {
    name: "wallet.expire-vouchers",
    // A voucher that has ended is refused anyway; this only closes the books on it.
    everyMs: 60_000,
    async run({ database }, signal) {
      let expired: number;
      do expired = await database.transaction((tx) => expireVouchers(tx, expiryBatch));
      while (expired === expiryBatch && !signal.aborted);
    },
  },
  {
    name: "wallet.forget-old-keys",
    everyMs: 60_000,
    async run({ database }, signal) {
      while (!signal.aborted && (await forgetOldKeys(database)) > 0);
    },
  },
  {
    name: "wallet.call-for-compensations",
    // An event is tried for minutes before it is given up, and a person comes later still; an empty look is two index probes.
    everyMs: 10_000,
    async run({ database, ports }) {
      await database.transaction((tx) => callForCompensations(tx, { reader: "wallet", compensations, ids: ports.ids }));
    },
  },
];
