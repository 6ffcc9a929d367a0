import { type Static, Type } from "typebox";

/** A moment: RFC 3339, UTC, milliseconds. Equal moments are equal strings, and they sort by time. */
export const Instant = Type.String({
  pattern: "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$",
  description: "RFC 3339 in UTC with milliseconds.",
});
export type Instant = Static<typeof Instant>;

/** A moment that somebody names: before this millennium there was nothing, and the calendar has to have it. */
export const NamedInstant = Type.String({
  pattern: "^2\\d{3}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:[0-5]\\d\\.\\d{3}Z$",
  format: "date-time",
  description: "RFC 3339 in UTC with milliseconds.",
});

/** The moment `milliseconds` after (or, negative, before) another. */
export const later = (instant: Instant, milliseconds: number): Instant =>
  new Date(Date.parse(instant) + milliseconds).toISOString();
