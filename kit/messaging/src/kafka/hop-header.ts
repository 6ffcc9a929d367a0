/** When an event passed the hops before the broker, told to its consumers. The hops behind it they see themselves. */

import type { HopMoments } from "../hops.ts";
import { type FetchedRecord, headerOf } from "./received-batch.ts";

export const hopHeader = "onsale-hops";

/** Milliseconds since 1970 with a comma between; what is not known is empty. */
export const hopText = (visible: number | undefined, relayed: number): string => `${visible ?? ""},${relayed}`;

export function momentsOf({ headers, appendedAt, fetchedAt }: FetchedRecord): HopMoments {
  const [visible, relayed] = (headerOf(headers, hopHeader) ?? "")
    .split(",")
    .map((text) => (text === "" ? undefined : Number(text)));
  return {
    ...(visible !== undefined && { visible }),
    ...(relayed !== undefined && { relayed }),
    appended: appendedAt,
    fetched: fetchedAt,
  };
}
