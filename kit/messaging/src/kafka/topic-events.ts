/** What the records of a topic are to one reader of it: events, events for others, and what is no event of ours. */

import { type Foreign, fromKafkaRecord, isForeign } from "../events/cloud-event.ts";
import type { Delivered, Lane } from "../events/event.ts";
import { whyMisplaced } from "../events/misplaced.ts";
import { slotOf } from "../slot.ts";
import { type FetchedRecord, headerOf } from "./received-batch.ts";

export interface TopicEventsOptions {
  /** Whose events belong there. */
  readonly stream: { readonly source: string; readonly lane: Lane };
  /** Of the types that are heard, which field of their data is the key. Absent: every type is heard. */
  readonly keyFields: ReadonlyMap<string, string> | undefined;
  readonly knows: (type: string) => boolean;
  /** Among which our own rule deals out keys; absent where somebody else's does. */
  readonly partitions: number | undefined;
}

export class TopicEvents {
  readonly #options: TopicEventsOptions;

  constructor(options: TopicEventsOptions) {
    this.#options = options;
  }

  /** Undefined for what is not for this reader. */
  understand(record: FetchedRecord, partition: number): Delivered | Foreign | undefined {
    const { keyFields, knows } = this.#options;
    if (record.tooLarge !== undefined) return { foreign: "TOO_LARGE", why: record.tooLarge };
    const type = headerOf(record.headers, "ce_type");
    if (type !== undefined && keyFields && !keyFields.has(type) && knows(type)) return undefined;
    const event = fromKafkaRecord(record, { knows });
    return isForeign(event) ? event : (this.#misplaced(event, partition) ?? event);
  }

  /** Who appends here by hand, or from another shop, may say anything of an event; it has to agree with where it lies. */
  #misplaced({ source, lane, type, key, data }: Delivered, partition: number): Foreign | undefined {
    const { stream, keyFields, partitions } = this.#options;
    if (source !== stream.source || lane !== stream.lane)
      return { foreign: "BAD_ATTRIBUTE", why: `it says that it belongs to ${source}/${lane}` };
    const field = keyFields?.get(type);
    const why = field === undefined ? undefined : whyMisplaced({ key, data }, field);
    if (why !== undefined) return { foreign: "KEY_MISMATCH", why };
    if (partitions !== undefined && slotOf(key, partitions) !== partition)
      return { foreign: "WRONG_PARTITION", why: `its key belongs to partition ${slotOf(key, partitions)}` };
    return undefined;
  }
}
