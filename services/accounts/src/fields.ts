/** What comes in from outside and goes out again, field by field. */

import { BuyerId } from "@onsale/contracts/ids";
import { Type } from "typebox";
import { countries } from "./address.ts";

// RFC 5321: an address has at most 254 characters. Whether mail arrives there, only mail can tell.
export const Email = Type.String({
  maxLength: 254,
  pattern: "^[^\\s@\\u0000-\\u001f\\u007f]+@[^\\s@\\u0000-\\u001f\\u007f]+$",
});
// Eight as NIST SP 800-63B has it, no rules about kinds of characters; the upper bound keeps a hash from being fed a book.
export const NewPassword = Type.String({ minLength: 8, maxLength: 256 });
export const Password = Type.String({ minLength: 1, maxLength: 256 });

/** One line that says something: no control characters, and not only spaces. */
const line = (maxLength: number) =>
  Type.String({ minLength: 1, maxLength, pattern: "^(?=.*\\S)[^\\u0000-\\u001f\\u007f]+$" });
const optionalLine = (maxLength: number) => Type.Optional(line(maxLength));
const lineOrNull = Type.Union([Type.String(), Type.Null()]);

export const Name = line(200);

/** Any id of this service's: a UUID in lower case. */
export const Id = BuyerId;

const Country = Type.Unsafe<string>({
  type: "string",
  enum: countries,
  description: "ISO 3166-1 alpha-2, as DE or JP.",
});

// Longer than the longest of any country's post; a label is printed from them.
export const AddressWish = Type.Object({
  recipient: line(200),
  line1: line(200),
  line2: optionalLine(200),
  postalCode: optionalLine(16),
  city: line(100),
  region: optionalLine(100),
  country: Country,
  phone: Type.Optional(Type.String({ maxLength: 32, pattern: "^\\+?[0-9][0-9 ()./-]*$" })),
  isDefault: Type.Optional(
    Type.Literal(true, { description: "Makes it the one default. Another one becomes it only by being made it." }),
  ),
});

export const Address = Type.Object({
  addressId: Id,
  recipient: Type.String(),
  line1: Type.String(),
  line2: lineOrNull,
  postalCode: lineOrNull,
  city: Type.String(),
  region: lineOrNull,
  country: Type.String(),
  phone: lineOrNull,
  isDefault: Type.Boolean(),
});
