export type { AccountsPorts, OperatorLogIn, ResetMail, ResetMessage } from "./ports.ts";
export { accounts } from "./service.ts";
