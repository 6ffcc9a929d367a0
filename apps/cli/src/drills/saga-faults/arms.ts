/** What the drill tells the server's process, and what that process writes down. */

import type { SagaStyle } from "@onsale/orders";
import type { Fault } from "./steps.ts";

/** A fault that waits for one order at one step. */
export interface Arm {
  /** Of the request that set the saga off: everything that follows from it carries it. */
  readonly correlationId: string;
  readonly step: string;
  readonly fault: Fault;
  /** So many orders are to meet a death together, if they can. */
  readonly together: number;
}

/** Correlations of the drill begin so; others are none of its business. */
export const correlationPrefix = "saga-faults.";

/** A line of the journal: an order came to a step, or a fault hit it there. */
export interface JournalLine {
  readonly what: "met" | "hit";
  readonly correlationId: string;
  readonly step: string;
  /** Absent at a request. */
  readonly eventId?: string;
}

/** How a server is run for one part of the drill. */
export interface Bounds {
  readonly retry: { readonly attempts: number; readonly firstDelayMs: number };
  readonly stepTimeoutsMs: Readonly<Record<string, number>>;
  /** For how long a delayed step is held back, from when it is first tried. */
  readonly heldBackMs: number;
}

export interface ServerOptions {
  readonly adminUrl: string;
  readonly port: number;
  readonly secretsFolder: string;
  readonly logFile: string;
  readonly journal: string;
  readonly providers: readonly {
    readonly name: string;
    readonly url: string;
    readonly apiSecret: string;
    readonly webhookSecret: string;
  }[];
  readonly operator: { readonly email: string; readonly password: string };
  readonly bounds: Bounds;
  /** Who leads the orders. */
  readonly saga: SagaStyle;
}

export type Order =
  | { readonly do: "open"; readonly options: ServerOptions }
  | { readonly do: "arm"; readonly arms: readonly Arm[] }
  /** What fails for ever fails no longer. */
  | { readonly do: "mend" }
  | { readonly do: "close" };

export type Answer = { readonly said: "ready" | "opened" | "armed" | "mended" | "closed" };
