export { type CardProviderOptions, createCardProvider } from "./card-provider.ts";
export { type AskingAgain, eagerAsking, type PaymentsPorts, patientAsking } from "./ports.ts";
export type * from "./provider.ts";
export { payments } from "./service.ts";
