import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { readInvoices } from "../../src/replay/invoice-file.ts";
import { type Plan, Planner } from "../../src/replay/plan.ts";

/** Four days of real orders, with the faults that real data has. */
export const realInvoices = new URL("../../../../examples/online-retail/invoices-2010-12-01-to-05.csv", import.meta.url)
  .pathname;

export const header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";

/** A folder that is gone after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "onsale-test-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export async function fileOf(content: string | Buffer): Promise<string> {
  const path = join(await temporaryFolder(), "invoices.csv");
  await writeFile(path, content);
  return path;
}

export async function planOf(path: string): Promise<Plan> {
  const planner = new Planner();
  await readInvoices(path, (line) => planner.add(line));
  return planner.finish();
}

/** Lines written short: `invoice code quantity price customer`. */
export const planOfLines = async (...lines: readonly string[]): Promise<Plan> =>
  planOf(await fileOf([header, ...lines.map(toCsv)].join("\n")));

function toCsv(line: string): string {
  const [invoice, code, quantity, price, customer = ""] = line.split(" ");
  return [invoice, code, `NAME OF ${code}`, quantity, "1/12/2010", price, customer, "United Kingdom"].join(",");
}
