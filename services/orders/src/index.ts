export type { OrderPorts } from "./ports.ts";
export { orders } from "./service.ts";
