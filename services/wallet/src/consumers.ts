import { accountRegistered, accountRoleChanged } from "@onsale/contracts/accounts";
import { orderConfirmed, orderPointsPayable, orderReturned, orderWithdrawn } from "@onsale/contracts/orders";
import { consumer } from "@onsale/messaging";
import { confirmPoints } from "./confirm-points.ts";
import { giveBackPoints } from "./give-back-points.ts";
import { holdPoints } from "./hold-points.ts";
import { noteHolders } from "./note-holders.ts";
import { releasePoints } from "./release-points.ts";

export const consumers = [
  consumer("wallet.hold-points", { on: orderPointsPayable, in: "batch", do: holdPoints }),
  consumer("wallet.confirm-points", { on: orderConfirmed, in: "batch", do: confirmPoints }),
  consumer("wallet.release-points", { on: orderWithdrawn, in: "batch", do: releasePoints }),
  consumer("wallet.give-back-points", { on: orderReturned, in: "batch", do: giveBackPoints }),
  consumer("wallet.note-holders", { on: [accountRegistered, accountRoleChanged], in: "batch", do: noteHolders }),
];
