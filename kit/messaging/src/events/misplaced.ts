import { quoted } from "./cloud-event.ts";
import type { Delivered } from "./event.ts";

/**
 * Why an event does not belong under its key, where its data name another one in `field`; undefined where they agree. It would
 * pass for the next fact of that key, whose own is then ignored.
 */
export function whyMisplaced({ key, data }: Pick<Delivered, "key" | "data">, field: string): string | undefined {
  const named = (data as Readonly<Record<string, unknown>> | null)?.[field];
  if (named === key) return undefined;
  return `its key is ${quoted(key)}, the ${field} of its data ${typeof named === "string" ? quoted(named) : "no text"}`;
}
