export type { AccountsPorts, OperatorLogIn } from "./ports.ts";
export { accounts } from "./service.ts";
