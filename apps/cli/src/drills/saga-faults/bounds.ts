/** How the server is run for each fault. */

import type { StepTimeoutsMs } from "@onsale/orders/ports";
import type { Bounds } from "./arms.ts";
import type { Fault } from "./steps.ts";

// Long enough for a step that nothing holds up, on a machine with other work; short enough to be waited for.
const stepMs = 6_000;
const undoMs = 3_000;
const callAfterMs = 3_000;

/** Every wait that there is; the compiler misses one that is added. */
const shortTimeoutsMs: Required<StepTimeoutsMs> = {
  "reserve-stock": stepMs,
  "hold-points": stepMs,
  "authorise-payment": stepMs,
  "confirm-stock": stepMs,
  "capture-payment": stepMs,
  "undo reserve-stock": undoMs,
  "undo hold-points": undoMs,
  "undo authorise-payment": undoMs,
  "undo confirm-stock": undoMs,
  "undo capture-payment": undoMs,
  "owed reserve-stock": callAfterMs,
  "owed hold-points": callAfterMs,
  "owed authorise-payment": callAfterMs,
  "owed confirm-stock": callAfterMs,
  "owed capture-payment": callAfterMs,
};

/** The saga's own deadlines, so that no order runs out of its time: each ends as if nothing had been. */
export const patient: Bounds = { retry: { attempts: 4, firstDelayMs: 200 }, stepTimeoutsMs: {}, heldBackMs: 0 };

/** Deadlines of seconds, and a key that keeps failing is soon a dead letter. */
const hopeless: Bounds = {
  retry: { attempts: 2, firstDelayMs: 200 },
  stepTimeoutsMs: shortTimeoutsMs,
  heldBackMs: 0,
};

/** A step is held back beyond its own bound, the undo's, and the call for a person; its key is tried for as long. */
const slow: Bounds = {
  retry: { attempts: 8, firstDelayMs: 300 },
  stepTimeoutsMs: shortTimeoutsMs,
  heldBackMs: stepMs + undoMs + callAfterMs + 2_000,
};

export function boundsFor(fault: Fault): Bounds {
  switch (fault) {
    case "failed for ever":
      return hopeless;
    case "delayed past its deadline":
      return slow;
    default:
      return patient;
  }
}
