/** Every step of the composed shop's sagas, and every fault that can hit one. */

import type { Consumer, EventDefinition } from "@onsale/messaging";
import type { SagaStyle } from "@onsale/orders";

export const faults = [
  "failed once",
  "failed for ever",
  "delayed past its deadline",
  "delivered twice",
  "delivered in the wrong order",
  "killed before its commit",
  "killed after its commit",
] as const;
export type Fault = (typeof faults)[number];

/** `do`: a batch consumer's one transaction. The next three are an `each` consumer's. `request`: what a person asked for. */
export type Stage = "do" | "prepare" | "call" | "settle" | "request";

/**
 * What can happen to each. Events are delivered to a consumer's first stage, so order is a matter of that. A call has no
 * commit: it is killed before it is made and when it was answered; delivered twice it is made twice. A request that fails
 * for ever, or comes late, is no order; in which order requests come is their sender's affair.
 */
export const faultsOf: Readonly<Record<Stage, readonly Fault[]>> = {
  do: faults,
  prepare: faults,
  call: faults.filter((fault) => fault !== "delivered in the wrong order"),
  settle: faults.filter((fault) => !fault.startsWith("delivered")),
  request: ["failed once", "delivered twice", "killed before its commit", "killed after its commit"],
};

export const isDeath = (fault: Fault): boolean => fault.startsWith("killed");
/** Faults that last for so long that the order's deadlines pass. */
export const isLate = (fault: Fault): boolean => fault === "failed for ever" || fault === "delayed past its deadline";
export const isRepetition = (fault: Fault): boolean => fault.startsWith("delivered");

export interface Step {
  readonly consumer: string;
  readonly stage: Stage;
  readonly type: string;
}

export const requestStep = "the request";

/** As the table has it: `payments.move-money prepares order.payable`. */
export function nameOf({ consumer, stage, type }: Step): string {
  const event = type.replace(/\.v\d+$/, "");
  return stage === "request" ? requestStep : `${consumer} ${verbs[stage]} ${event}`;
}

const verbs = { do: "does", prepare: "prepares", call: "calls for", settle: "settles" } as const;

/** The stage of a step by its name. */
export function stageOf(name: string): Stage {
  if (name === requestStep) return "request";
  const [stage] = Object.entries(verbs).find(([, verb]) => name.includes(` ${verb} `)) ?? [];
  if (stage === undefined) throw new Error(`${name} is no step's name.`);
  return stage as Stage;
}

type Listener = Pick<Consumer, "kind" | "name"> & { readonly on: readonly EventDefinition[] };

interface Listening {
  readonly consumers: readonly Listener[];
  readonly choreographed: readonly Listener[];
}

/** From the services' own definitions: whoever hears a fact about an order takes a step of its saga. */
export const stepsOf = (services: readonly Listening[], saga: SagaStyle): string[] =>
  services.flatMap(({ consumers, choreographed }) =>
    (saga === "choreographed" ? choreographed : consumers).flatMap(({ kind, name: consumer, on }) => {
      const stages: readonly Stage[] = kind === "batch" ? ["do"] : ["prepare", "call", "settle"];
      const types = on.filter(({ key }) => key === "orderId").map(({ type }) => type);
      return types.flatMap((type) => stages.map((stage) => nameOf({ consumer, stage, type })));
    }),
  );
