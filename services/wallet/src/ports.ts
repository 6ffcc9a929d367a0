import type { BasePorts } from "@onsale/messaging";
import type { ServiceContext } from "@onsale/runtime";

export interface WalletPorts extends BasePorts {
  /** What is earned of each amount paid with money, in hundredths of a percent; 0: nothing. Default: 1 %. */
  readonly earnedBasisPoints?: number;
}

/** The rate where none is given. */
export const usualEarnedBasisPoints = 100;

export type WalletContext = ServiceContext<WalletPorts>;
