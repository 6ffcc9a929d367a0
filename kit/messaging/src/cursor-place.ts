/**
 * Where the row of a saved cursor lies in its table. The row changes with every batch, and as long as some transaction stays
 * open the server lets none of its versions go: found by its key it costs more with each of them, found by its place always
 * the same. Whoever does not know the place, or finds that the row has left it, looks by the key.
 */

import type { Cursor } from "./log.ts";

/** By the cursor that was written last. */
const places = new WeakMap<Cursor, string>();

export interface MovedRow {
  readonly now: string;
  readonly place: string;
}

/**
 * Moves a cursor by `update`, which finds the row at the place that it is given, or by its key; gives the database's time, or
 * undefined when somebody else moved or took it.
 */
export async function moveFromPlace(
  { from, to }: { readonly from: Cursor; readonly to: Cursor },
  update: (place: string | undefined) => Promise<readonly MovedRow[]>,
): Promise<string | undefined> {
  const known = places.get(from);
  const [atPlace] = known === undefined ? [] : await update(known);
  const [moved] = atPlace ? [atPlace] : await update(undefined);
  if (moved) places.set(to, moved.place);
  return moved?.now;
}
