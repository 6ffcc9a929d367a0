import { createInterface } from "node:readline";
import type { LedgerLine, LedgerPayment } from "@onsale/provider-sim";
import { request } from "undici";

export interface ProviderAddress {
  /** As payments are stored with it. */
  readonly name: string;
  readonly url: string;
  /** What the merchant proves itself with to the provider. */
  readonly apiSecret: string;
}

/** Milliseconds without a byte after which the provider counts as gone. */
const silenceMs = 30_000;

/**
 * Reads the provider's ledger line by line; however long it is, a few lines are in memory.
 *
 * @throws Error when the provider can't be reached, refuses, or its ledger breaks off.
 */
export async function* readProviderLedger({ name, url, apiSecret }: ProviderAddress): AsyncIterable<LedgerPayment> {
  const { statusCode, body } = await request(`${url}/v1/ledger`, {
    headers: { authorization: `Bearer ${apiSecret}` },
    headersTimeout: silenceMs,
    bodyTimeout: silenceMs,
  });
  if (statusCode !== 200)
    throw new Error(`The provider ${name} answered ${statusCode} when it was asked for its ledger.`);
  let payments = 0;
  for await (const text of createInterface({ input: body, crlfDelay: Number.POSITIVE_INFINITY })) {
    const line = JSON.parse(text) as LedgerLine;
    if (line.type === "payment") {
      payments++;
      yield line;
    } else if (line.payments === payments) return;
    else throw new Error(`The ledger of ${name} has ${line.payments} payments, ${payments} of them came.`);
  }
  throw new Error(`The ledger of ${name} broke off.`);
}
