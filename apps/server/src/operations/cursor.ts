import { httpErrors, problem } from "@onsale/http";
import { type Static, type TSchema, Type } from "typebox";
import { Value } from "typebox/value";

// Longer than the longest that we give: twelve snapshots of a busy server.
export const CursorText = Type.String({
  minLength: 1,
  maxLength: 1_500,
  description: "As it was given with the page before.",
});

/** Where a page ended, for the client to hand back. */
export const cursorText = (place: object): string => Buffer.from(JSON.stringify(place)).toString("base64url");

/** What a cursor stands for. @throws {ProblemError} 400 when it is none of ours. */
export function placeOf<Schema extends TSchema>(schema: Schema, cursor: string): Static<Schema> {
  const place = parsed(Buffer.from(cursor, "base64url").toString("utf8"));
  if (!Value.Check(schema, place))
    throw problem(400, httpErrors.VALIDATION_FAILED, { detail: "The cursor is none that was given here." });
  return place;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
