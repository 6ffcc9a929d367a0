import type { BasePorts } from "@onsale/messaging";
import type { AllocationRule } from "./allocation.ts";
import type { OrderGate } from "./order-gate.ts";
import type { SagaStyle, StepTimeoutsMs } from "./order-saga.ts";

export type { StepTimeoutsMs };

export interface OrderPorts extends BasePorts {
  /** Who leads the steps of orders that are placed from now on. Default: orders. */
  readonly saga?: SagaStyle;
  /** Bounds of the saga's waits that differ from its own, in milliseconds. */
  readonly stepTimeoutsMs?: StepTimeoutsMs;
  /** Milliseconds after which a return that nobody has looked at lapses, where they are not the days of the shop's policy. */
  readonly returnLapseMs?: number;
  /** Discounts and taxes, asked in this order; none unless a team brings some. */
  readonly allocationRules?: readonly AllocationRule[];
  /** What stands before the intake and turns away who comes too late; absent where the shop has none. */
  readonly gate?: OrderGate;
}
