/** What was found on a topic and is no event of ours: kept whole, with the cause, for a person to look at. */

import { array, type Database, json, sql, text } from "@onsale/postgres";
import { describeError } from "../consumers/cause.ts";
import type { Foreign } from "../events/cloud-event.ts";
import type { FeedName } from "../telemetry.ts";
import type { FetchedRecord } from "./received-batch.ts";
import type { Content } from "./record-text.ts";

export interface ForeignLetter extends Foreign {
  readonly topic: string;
  readonly partition: number;
  readonly found: FetchedRecord;
}

/** A record as it is kept. Bytes that are no text are shown as Base64. */
interface KeptRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: Readonly<Record<string, string>>;
}

const keepSql = sql("messaging.keep-foreign-records", {
  takes: [text, text, array(text), array(text), array(text), array(json<KeptRecord>()), array(text), array(text)],
  gives: {},
})`
  insert into dead_letter (reader, event_id, aggregate, key, sequence, type, source, blocks, readable, event, error, cause, attempts)
  select $1, event_id, 'foreign', key, 0, type, $2, false, false, event, error, cause, 0
  from unnest($3::text[], $4::text[], $5::text[], $6::jsonb[], $7::text[], $8::text[]) as letter(event_id, key, type, event, error, cause)
  on conflict (reader, event_id) do nothing`;

/** Keeps them before the reader's cursor passes them: found twice, they are kept once. */
export async function keepForeignRecords(
  database: Database,
  { reader, source }: FeedName,
  letters: readonly ForeignLetter[],
): Promise<void> {
  if (letters.length === 0) return;
  const kept = letters.map(toKept);
  await database.execute(keepSql, [
    reader,
    source,
    letters.map(placeOf),
    kept.map(({ key }) => key?.slice(0, shownKey) ?? ""),
    kept.map(({ headers }) => headers.ce_type ?? "unknown"),
    kept,
    letters.map(({ why }) => describeError(why)),
    letters.map(({ foreign }) => foreign),
  ]);
}

/** Its name: there is no other. */
export const placeOf = ({ topic, partition, found }: ForeignLetter): string => `${topic}/${partition}/${found.offset}`;

function toKept({ topic, partition, found }: ForeignLetter): KeptRecord {
  const { key, value, headers } = found;
  return {
    topic,
    partition,
    offset: found.offset,
    key: shown(key),
    value: shown(value),
    headers: Object.fromEntries(headers.map(([name, content]) => [shown(name) ?? "", shown(content) ?? ""])),
  };
}

// An index has no room for a long one.
const shownKey = 500;

// As much as an event of ours may have. A person sees what it is; the whole is on the topic.
const shownBytes = 256 * 1024;

function shown(content: Content | null): string | null {
  if (content === null) return null;
  const part = Buffer.from(content as Buffer).subarray(0, shownBytes);
  const asText = part.toString();
  // PostgreSQL keeps no zero byte in JSON.
  return asText.includes("\ufffd") || asText.includes("\0") ? `base64:${part.toString("base64")}` : asText;
}
