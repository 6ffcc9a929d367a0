/**
 * A record between the events of a partition: everything that the source committed before a moment, and that belongs to
 * this partition, lies before it. Deadlines and `passed` depend on it. It has no key and no value, so that consumers
 * which are not ours find nothing in it.
 */

import { type FetchedRecord, headerOf } from "./received-batch.ts";
import type { KafkaRecordParts } from "./record-batch.ts";

const header = "onsale-watermark";

export const watermarkRecord = (moment: string): KafkaRecordParts => ({ headers: new Map([[header, moment]]) });

/** The moment of a watermark (RFC 3339); undefined when the record is something else. */
export const watermarkIn = ({ key, headers }: FetchedRecord): string | undefined =>
  key === null ? headerOf(headers, header) : undefined;
