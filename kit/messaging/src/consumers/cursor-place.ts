/**
 * Where the row of a saved cursor lies in its table. The row changes with every batch, and as long as some transaction stays
 * open the server lets none of its versions go: found by its key it costs more with each of them, found by its place always
 * the same. Whoever does not know the place, or finds that the row has left it, looks by the key.
 */

import { boolean, composedSql, instant, type ParametersOf, type Takes, type Transaction, text } from "@onsale/postgres";
import type { Cursor, CursorMove, Moved } from "../log.ts";

/** By the cursor that was written last. */
const places = new WeakMap<Cursor, string>();

/** Where the row lies that this cursor was written to, as far as this process knows. */
export const placeOf = (cursor: Cursor): string | undefined => places.get(cursor);

/**
 * Declares how a kind of cursor is moved. `update` finds the row by its key and ends with its conditions. What is given back
 * moves it; undefined when somebody else moved or took it.
 */
export function cursorMove<const T extends Takes>(name: string, { takes, update }: { takes: T; update: string }) {
  const gives = { now: instant, isPaused: boolean, isWanted: boolean, place: text };
  const returning = `
    returning clock_timestamp() as now, paused_at is not null as "isPaused",
      coalesce(wanted_until > clock_timestamp(), false) as "isWanted", ctid::text as place`;
  const byKey = composedSql(name, { takes, gives, text: `${update} ${returning}` });
  const withPlace: Takes = [...takes, text];
  const atPlace = composedSql(`${name}-at-place`, {
    takes: withPlace,
    gives,
    text: `${update} and ctid = $${withPlace.length}::text::tid ${returning}`,
  });
  return async (
    tx: Transaction,
    { from, to }: Pick<CursorMove, "from" | "to">,
    values: ParametersOf<T>,
  ): Promise<Moved | undefined> => {
    const known = places.get(from);
    const [stillThere] = known === undefined ? [] : await tx.query(atPlace, [...values, known]);
    const [moved] = stillThere ? [stillThere] : await tx.query(byKey, values);
    if (moved) places.set(to, moved.place);
    return moved;
  };
}
