import type { TokenSigner } from "@onsale/http";
import type { BasePorts } from "@onsale/messaging";

/** The log-in of the operator whom the configuration names; an admin. */
export interface OperatorLogIn {
  readonly email: string;
  readonly password: string;
}

export type AccountsPorts = BasePorts & {
  readonly tokens: TokenSigner;
  /** At least 32 random bytes as text, the same in every process: keys what is counted. */
  readonly secret: string;
  readonly operator?: OperatorLogIn;
};
