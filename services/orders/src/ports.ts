import type { BasePorts } from "@onsale/messaging";
import type { StepTimeoutsMs } from "./order-saga.ts";

export interface OrderPorts extends BasePorts {
  /** Bounds of the saga's waits that differ from its own, in milliseconds. */
  readonly stepTimeoutsMs?: StepTimeoutsMs;
}
