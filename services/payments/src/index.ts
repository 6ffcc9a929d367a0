export type { PaymentsPorts } from "./ports.ts";
export type * from "./provider.ts";
export { payments } from "./service.ts";
