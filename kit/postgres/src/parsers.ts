import pg from "pg";

const int8 = 20;
const date = 1082;
const timestamptz = 1184;
const textArray = 1009;
const int8Array = 1016;
const timestamptzArray = 1185;
const xid8Array = 271;

/** PostgreSQL prints a session's time zone, which is pinned to UTC, as `+00`. Finer digits than milliseconds are cut off; `infinity` stays what it is. */
function isoInstant(text: string): string {
  if (text.endsWith("infinity")) return text;
  const [, day, time, fraction = ""] = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00$/.exec(text) ?? [];
  if (day === undefined) throw new RangeError(`${text} is not a moment in UTC between the years 0 and 9999.`);
  return `${day}T${time}.${fraction.slice(0, 3).padEnd(3, "0")}Z`;
}

function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} is beyond what a number holds exactly.`);
  return value;
}

const arrayOfText = pg.types.getTypeParser(textArray as never, "text") as (text: string) => (string | null)[];
const arrayOf =
  <Value>(parse: (text: string) => Value) =>
  (text: string) =>
    arrayOfText(text).map((element) => (element === null ? null : parse(element)));

const ours = new Map<number, (text: string) => unknown>([
  [int8, safeInteger],
  [int8Array, arrayOf(safeInteger)],
  [timestamptz, isoInstant],
  [timestamptzArray, arrayOf(isoInstant)],
  [xid8Array, arrayOfText],
  // The driver would make a Date in the machine's time zone of it.
  [date, (text) => text],
]);

/** How the driver reads values; see `columns.ts` for what each becomes. */
export const parsers: pg.CustomTypesConfig = {
  getTypeParser(oid: number, format?: "text" | "binary") {
    return ours.get(oid) ?? pg.types.getTypeParser(oid, format ?? "text");
  },
} as pg.CustomTypesConfig;
