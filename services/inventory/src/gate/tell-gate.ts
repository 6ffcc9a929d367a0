import type { Transaction } from "@onsale/postgres";
import type { Decision, Shelves } from "../stock.ts";
import { logPosition } from "../store/gate.ts";
import { type Level, levelsAfter } from "./levels.ts";

/** Who is told what is left. It answers at once and never fails: the ledger does without it. */
export interface LevelBoard {
  tell(levels: readonly Level[]): void;
}

/** Tells what a batch left on the shelves, once it has committed. The caller has locked their rows. */
export async function tellGate(
  tx: Transaction,
  board: LevelBoard | undefined,
  { shelves, decisions }: { readonly shelves: Shelves; readonly decisions: readonly Decision[] },
): Promise<void> {
  if (board === undefined) return;
  const levels = levelsAfter(shelves, decisions, await logPosition(tx));
  tx.afterCommit(() => board.tell(levels));
}
