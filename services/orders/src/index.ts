export type { Allocation, AllocationRule, PricedBasket } from "./allocation.ts";
export type { SagaStyle } from "./order-saga.ts";
export type { OrderPorts } from "./ports.ts";
export { orders } from "./service.ts";
