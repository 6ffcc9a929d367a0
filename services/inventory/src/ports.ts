import type { BasePorts } from "@onsale/messaging";
import type { LocationRule } from "./location.ts";

export { fewestLocations, type LineToServe, type LocationRule, type Place } from "./location.ts";

export interface InventoryPorts extends BasePorts {
  /** From where a line is served whose SKU lies in several locations. */
  readonly chooseLocations: LocationRule;
}
