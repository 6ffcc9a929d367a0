import type { SagaStyle } from "@onsale/contracts/orders";
import type { BasePorts } from "@onsale/messaging";
import type { Static } from "typebox";
import type { LevelBoard } from "./gate/tell-gate.ts";
import type { LocationRule } from "./location.ts";

export { fewestLocations, type LineToServe, type LocationRule, type Place } from "./location.ts";

export interface InventoryPorts extends BasePorts {
  /** Who leads the orders' steps, and so who is heard of what pays for a hold. Default: orders. */
  readonly saga?: Static<typeof SagaStyle>;
  /** From where a line is served whose SKU lies in several locations. */
  readonly chooseLocations: LocationRule;
  /** Who is told what each decision leaves on the shelves; absent where no gate stands in front. */
  readonly gate?: LevelBoard;
}
