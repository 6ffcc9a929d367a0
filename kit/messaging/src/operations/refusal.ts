/** What an operator asked for and can't have, as a value: whoever offers the operation decides how to say so. */
export interface Refusal<Code extends string = string> {
  readonly kind: "refused";
  readonly code: Code;
  /** One sentence for a person. */
  readonly detail: string;
}

export const refused = <const Code extends string>(code: Code, detail: string): Refusal<Code> => ({
  kind: "refused",
  code,
  detail,
});
