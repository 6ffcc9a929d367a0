/** What a use case answers: one of these kinds, each a type of its own, so that a switch tells them apart. */
export type Outcome<Kind extends string> = Kind extends string ? { readonly kind: Kind } : never;

/** Too many wrong passwords came before. */
export interface Limited {
  readonly kind: "limited";
  readonly retryAfterSeconds: number;
}
