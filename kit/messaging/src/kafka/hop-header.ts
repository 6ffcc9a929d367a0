/** When an event passed the hops before the broker, told to its consumers. The hops behind it they see themselves. */

import type { HopMoments } from "../hops.ts";

export const hopHeader = "onsale-hops";

/** Milliseconds since 1970 with a comma between; what is not known is empty. */
export const hopText = (visible: number | undefined, relayed: number): string => `${visible ?? ""},${relayed}`;

/** What the header of a record says of the hops before the broker. */
export function hopsIn(text = ""): Pick<HopMoments, "visible" | "relayed"> {
  const [visible, relayed] = text.split(",").map((moment) => (moment === "" ? undefined : Number(moment)));
  return { ...(visible !== undefined && { visible }), ...(relayed !== undefined && { relayed }) };
}
