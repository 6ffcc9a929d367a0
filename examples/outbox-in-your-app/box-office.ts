/** Sells concert tickets. When a payment is complete the team's chat hears of it: once, whatever dies in between. */

import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { consumer, type DataOf, defineEvent, fact, openMessaging } from "@onsale/messaging";
import pg from "pg";
import { Type } from "typebox";

const [databaseUrl = "", chatUrl = "", port = "0", reader = "snapshot"] = process.argv.slice(2);

const paymentCompleted = defineEvent("payment.completed.v1", {
  key: "paymentId",
  lanes: { online: true },
  schema: Type.Object({
    paymentId: Type.String({ minLength: 1, maxLength: 64 }),
    concert: Type.String({ minLength: 1, maxLength: 200 }),
    seats: Type.Integer({ minimum: 1, maximum: 20 }),
    amountMinor: Type.Integer({ minimum: 1 }),
  }),
  sample: { paymentId: "p-1", concert: "Nina Hagen", seats: 2, amountMinor: 9_800 },
});
type Payment = DataOf<typeof paymentCompleted>;

const messaging = await openMessaging({
  url: databaseUrl,
  schema: "box_office",
  migrations: new URL("./migrations/", import.meta.url),
  // The outbox is read by SQL, or from the write-ahead log; nothing else changes.
  reader: reader === "wal" ? "wal" : "snapshot",
  telemetry: { servedBy: ({ by }) => console.log("reading by", by) },
});
const pool = new pg.Pool({ connectionString: databaseUrl, options: "-c search_path=box_office" });

/** The application's own transaction, and its own SQL: the payment and its event are committed together or not at all. */
async function completePayment(payment: Payment): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    const { rowCount } = await client.query(
      `insert into ticket_payment (payment_id, concert, seats, amount_minor) values ($1, $2, $3, $4)
       on conflict (payment_id) do nothing`,
      [payment.paymentId, payment.concert, payment.seats, payment.amountMinor],
    );
    // Paid before: the customer only asks again, because an answer was lost.
    if (rowCount === 1) {
      const cause = { correlationId: payment.paymentId };
      await messaging.publish(client, [fact(paymentCompleted, { data: payment, sequence: 1, cause })]);
    }
    await client.query("commit");
    client.release();
  } catch (error) {
    // Closing the connection rolls back, also where it was the connection that failed.
    client.release(true);
    throw error;
  }
  messaging.wake();
}

/** At least once, always with the same id: after a crash between the call and its record the chat is called again. */
const tellChat = consumer("box-office.tell-chat", {
  on: paymentCompleted,
  in: "each",
  concurrency: 8,
  // Each wait is twice the one before: a chat may be away for an hour.
  retry: { attempts: 16, firstDelayMs: 100 },
  async call({ id, data }, _ports, signal) {
    const message = { text: `${data.paymentId}: ${data.seats} x ${data.concert}, ${data.amountMinor / 100} EUR` };
    const answer = await fetch(chatUrl, {
      method: "POST",
      headers: { "content-type": "application/json", "webhook-id": id },
      body: JSON.stringify(message),
      signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]),
    });
    if (!answer.ok) throw new Error(`The chat answered ${answer.status}.`);
  },
});
// After a second of silence another process, or this one started anew, may go on.
messaging.consume([tellChat], { leaseMs: 1_000 });

const server = createServer(async (request, response) => {
  try {
    await completePayment(JSON.parse(await text(request)));
    response.writeHead(201).end();
  } catch (error) {
    response.writeHead(400).end(String(error));
  }
});
server.listen(Number(port), "127.0.0.1", () => console.log("box office on", server.address()));
