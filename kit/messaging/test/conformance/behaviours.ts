/** What every log owes to those who tell and those who hear, in the words of whoever relies on it. */

import { callBehaviours } from "./behaviours/calls.ts";
import { deliveryBehaviours } from "./behaviours/delivery.ts";
import { effectBehaviours } from "./behaviours/effects.ts";
import { failureBehaviours } from "./behaviours/failures.ts";
import { ownershipBehaviours } from "./behaviours/ownership.ts";
import { placeBehaviours } from "./behaviours/places.ts";
import { shareBehaviours } from "./behaviours/shares.ts";
import { streamBehaviours } from "./behaviours/streams.ts";
import type { Stage } from "./stage.ts";

export interface Behaviour {
  readonly name: string;
  readonly play: (stage: Stage) => Promise<void>;
}

/** What depends on how an outbox is read. */
export const readingBehaviours: readonly Behaviour[] = deliveryBehaviours;

export const behaviours: readonly Behaviour[] = [
  ...deliveryBehaviours,
  ...effectBehaviours,
  ...callBehaviours,
  ...failureBehaviours,
  ...ownershipBehaviours,
  ...shareBehaviours,
  ...streamBehaviours,
  ...placeBehaviours,
];
