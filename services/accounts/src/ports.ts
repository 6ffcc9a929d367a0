import type { TokenSigner } from "@onsale/http";
import type { BasePorts } from "@onsale/messaging";

/** The log-in of the operator whom the configuration names. */
export interface OperatorLogIn {
  readonly email: string;
  readonly password: string;
}

export type AccountsPorts = BasePorts & {
  readonly tokens: TokenSigner;
  readonly operator?: OperatorLogIn;
};
