import type { TokenSigner } from "@onsale/http";
import type { BasePorts } from "@onsale/messaging";

/** The log-in of the operator whom the configuration names; an admin. */
export interface OperatorLogIn {
  readonly email: string;
  readonly password: string;
}

/** A mail with a link to set a new password. */
export interface ResetMessage {
  /** The same for every attempt at the same mail. */
  readonly id: string;
  readonly to: string;
  readonly name: string;
  /** What the link carries; whoever has it can set the password. */
  readonly token: string;
  /** RFC 3339. */
  readonly expiresAt: string;
}

/** Where such mails leave the house. */
export interface ResetMail {
  /** Resolves once the other side has it. A throw is tried again later; the other side may have it all the same. */
  readonly send: (message: ResetMessage, signal: AbortSignal) => Promise<void>;
}

export type AccountsPorts = BasePorts & {
  readonly tokens: TokenSigner;
  /** At least 32 random bytes as text, the same in every process: keys what is counted, signs links. */
  readonly secret: string;
  readonly operator?: OperatorLogIn;
  /** Absent: nobody is sent a link. */
  readonly resetMail?: ResetMail;
};
