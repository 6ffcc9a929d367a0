/** The words of the operations API, as far as several of its routes use them. */

import { Type } from "typebox";

export const ReaderName = Type.String({
  minLength: 1,
  maxLength: 100,
  pattern: "^[a-z][a-z0-9.-]*$",
  description: "A service for its batch consumers, else one consumer's own name.",
});
export const EventId = Type.String({ minLength: 1, maxLength: 300, description: "The event's id." });
export const Uuid = Type.String({
  pattern: "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
});
export const Moment = Type.String({ description: "RFC 3339, UTC." });
/** A moment that somebody names: before this millennium nothing was told, and the calendar has to have it. */
export const NamedMoment = Type.String({
  pattern: "^2\\d{3}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:[0-5]\\d(\\.\\d{1,6})?Z$",
  format: "date-time",
  description: "RFC 3339 in UTC.",
});
export const Count = Type.Integer({ minimum: 0 });
export const NullableText = Type.Union([Type.String(), Type.Null()]);
export const NullableNumber = Type.Union([Type.Number(), Type.Null()]);

export const Reason = Type.String({
  minLength: 1,
  maxLength: 500,
  description: "Why; it is written into the log of operations.",
});

export const Mode = Type.Union([Type.Literal("redeliver"), Type.Literal("reprocess")], {
  description:
    "redeliver: the same event under its id, so whoever deduplicates by it ignores a repetition. reprocess: under a new id, with replayOf naming the old one.",
});

export const Lane = Type.Union([Type.Literal("online"), Type.Literal("bulk")]);

export const TypeName = Type.String({ minLength: 1, maxLength: 200, description: "As in order.placed.v1." });
export const Key = Type.String({ minLength: 1, maxLength: 300 });
export const Cause = Type.String({ minLength: 1, maxLength: 300, description: "A group's cause, letter by letter." });

export const Limit = (maximum: number, byDefault: number) =>
  Type.Optional(Type.Integer({ minimum: 1, maximum, default: byDefault, description: `Default ${byDefault}.` }));

/** An event as it lies in a log; open, since readers of several versions look at it. */
export const Event = Type.Unknown({ description: "The event with all its attributes." });

export const LoggedOperation = Type.Object({
  position: Count,
  at: Moment,
  operator: Type.String({ description: "The person's id." }),
  operation: Type.String(),
  reader: NullableText,
  target: Type.String(),
  reason: NullableText,
  before: Type.Unknown(),
  after: Type.Unknown(),
});
