import pg from "pg";

const int8 = 20;
const timestamptz = 1184;
const int8Array = 1016;

// The offset comes as `+00` or `+05:30`; the parser of dates wants the minutes too. Infinity stays what it is.
function isoInstant(text: string): string {
  if (text.endsWith("infinity")) return text;
  return new Date(text.replace(" ", "T").replace(/([+-]\d\d)$/, "$1:00")).toISOString();
}

function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} is beyond what a number holds exactly.`);
  return value;
}

const arrayOfText = pg.types.getTypeParser(1009 as never, "text") as (text: string) => string[];

/** How the driver reads values; see `columns.ts` for what each becomes. */
export const parsers: pg.CustomTypesConfig = {
  getTypeParser(oid: number, format?: "text" | "binary") {
    if (oid === int8) return safeInteger;
    if (oid === timestamptz) return isoInstant;
    if (oid === int8Array) return (text: string) => arrayOfText(text).map(safeInteger);
    return pg.types.getTypeParser(oid, format ?? "text");
  },
} as pg.CustomTypesConfig;
