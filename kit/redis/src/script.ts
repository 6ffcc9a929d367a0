import { createHash } from "node:crypto";

declare const reply: unique symbol;

/** A Lua script that Redis runs as one step: nobody else's command comes between its own. */
export interface RedisScript<Reply> {
  readonly text: string;
  /** By which Redis knows a script that it has run before. */
  readonly sha1: string;
  readonly [reply]?: Reply;
}

/**
 * Declares a script: ``const touch = script<number>()`return redis.call('incr', KEYS[1])` ``. The template takes no values:
 * they come as keys and arguments, so nothing can be spliced into the text.
 */
export function script<Reply>() {
  return (template: TemplateStringsArray): RedisScript<Reply> => {
    if (template.length !== 1) throw new Error("A value was spliced into the text of a script.");
    const text = template[0] ?? "";
    return { text, sha1: createHash("sha1").update(text).digest("hex") };
  };
}
