import { type Static, Type } from "typebox";

/** A moment: RFC 3339, UTC, milliseconds. Equal moments are equal strings, and they sort by time. */
export const Instant = Type.String({
  pattern: "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$",
  description: "RFC 3339 in UTC with milliseconds.",
});
export type Instant = Static<typeof Instant>;

/** The moment `milliseconds` after (or, negative, before) another. */
export const later = (instant: Instant, milliseconds: number): Instant =>
  new Date(Date.parse(instant) + milliseconds).toISOString();
