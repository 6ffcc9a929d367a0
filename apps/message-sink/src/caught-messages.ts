/** What the sink keeps: each message once, by the id that its sender gives it, however often it comes. */

export interface CaughtMessage {
  readonly id: string;
  readonly channel: "chat" | "mail" | "push";
  /** Absent in a chat. */
  readonly to: string | undefined;
  readonly text: string;
  /** How often it came. */
  readonly times: number;
  readonly firstAt: string;
}

/** Messages kept; the oldest go first. Enough for a look at any demonstration, little for a process. */
const keptMessages = 10_000;

export class CaughtMessages {
  readonly #byId = new Map<string, CaughtMessage>();

  take(message: Omit<CaughtMessage, "times" | "firstAt">): void {
    const { channel, id } = message;
    const name = `${channel} ${id}`;
    const before = this.#byId.get(name);
    const now = new Date().toISOString();
    this.#byId.set(name, { ...message, times: (before?.times ?? 0) + 1, firstAt: before?.firstAt ?? now });
    if (this.#byId.size <= keptMessages) return;
    const [oldest] = this.#byId.keys();
    if (oldest !== undefined) this.#byId.delete(oldest);
  }

  /** The newest first. */
  list(limit: number): readonly CaughtMessage[] {
    return [...this.#byId.values()].slice(-limit).reverse();
  }

  get size(): number {
    return this.#byId.size;
  }
}
