import {
  array,
  as,
  bigint,
  double,
  instant,
  integer,
  nullable,
  type Queryable,
  sql,
  type Transaction,
  text,
} from "@onsale/postgres";
import type { DeliveryRule } from "../delivery.ts";
import { type Channel, channels } from "../message.ts";

const lineWorksSql = sql("notifications.line-works", { takes: [text], gives: {} })`
  update notifications.line set failures = 0, closed_until = null where channel = $1 and failures > 0`;

/** True where it had failures before. */
export const lineWorks = async (tx: Transaction, channel: Channel): Promise<boolean> =>
  (await tx.execute(lineWorksSql, [channel])) === 1;

const lineFailedSql = sql("notifications.line-failed", {
  takes: [text, double, double, double],
  gives: { failures: integer },
})`
  update notifications.line
  set failures = failures + 1,
    closed_until = clock_timestamp()
      + greatest($4, least($3, $2 * power(2, least(failures, 30)))) * interval '1 millisecond'
  where channel = $1
  returning failures`;

/** Leaves the line alone for a while, longer with each failure, and as long as the other side asks. Gives how many there were. */
export async function lineFailed(
  tx: Transaction,
  channel: Channel,
  { lineFirstMs, lineLongestMs }: DeliveryRule,
  retryAfterMs: number,
): Promise<number> {
  const [line] = await tx.query(lineFailedSql, [channel, lineFirstMs, lineLongestMs, retryAfterMs]);
  return line?.failures ?? 0;
}

// Counting stops where the number says enough: a person acts on "many".
const countedAtMost = 10_000;

const showLinesSql = sql("notifications.show-lines", {
  takes: [array(text), bigint],
  gives: {
    channel: as<Channel>(text),
    failures: integer,
    closedUntil: nullable(instant),
    pending: bigint,
    dead: bigint,
  },
})`
  select line.channel, failures, case when closed_until > clock_timestamp() then closed_until end as "closedUntil",
    (select count(*) from (
      select from notifications.message
      where channel = line.channel and status = 'pending' and kind <> 'news' and due_at < 'infinity' limit $2) as waiting) as pending,
    (select count(*) from (
      select from notifications.message
      where channel = line.channel and status = 'dead' limit $2) as given_up) as dead
  from notifications.line where channel = any($1) order by channel`;

/** Every channel, with what waits in it (news excepted) and what is dead, counted up to 10,000. */
export const showLines = (database: Queryable) => database.query(showLinesSql, [channels, countedAtMost]);
