import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { parse } from "csv-parse";

/** One line of an invoice as the file has it. A field that can't be read is absent. */
export interface InvoiceLine {
  readonly invoice: string;
  /** The product's code, as written. */
  readonly code: string;
  readonly description: string;
  /** Pieces; negative on cancellations and adjustments. */
  readonly quantity?: number;
  /** The price of one piece in the currency's minor unit. */
  readonly priceMinor?: number;
  /** Absent for a guest. */
  readonly customer?: string;
}

/** What was read, besides the lines themselves. */
export interface InvoiceFileFacts {
  /** SHA-256 of the file's bytes, in hex: what makes two files the same. */
  readonly contentHash: string;
}

/** The file is not what its name promised. The message is for the person who named it. */
export class NotInvoicesError extends Error {
  override readonly name = "NotInvoicesError";
}

const columns = ["InvoiceNo", "StockCode", "Description", "Quantity", "UnitPrice", "CustomerID"] as const;
type ColumnName = (typeof columns)[number];

/** Bytes of the longest line that could be one of an invoice; a file without line ends must not fill the memory. */
const maximumRecordBytes = 64 * 1024;

/**
 * Reads a CSV export of invoices line by line, in the order of the file, and gives each line to `take`; a file of any
 * length passes through a few buffers. Dates are not looked at: the order of the file is the order of events.
 *
 * @throws NotInvoicesError when the file can't be read, is empty, lacks a column, or is no CSV.
 */
export async function readInvoices(path: string, take: (line: InvoiceLine) => void): Promise<InvoiceFileFacts> {
  const hash = createHash("sha256");
  let lines = 0;
  let toLine: ((record: readonly string[]) => InvoiceLine) | undefined;
  const takeRecord = (record: readonly string[]): void => {
    if (toLine === undefined) toLine = lineReader(record, path);
    else {
      take(toLine(record));
      lines++;
    }
  };
  try {
    await pipeline(
      createReadStream(path).on("data", (chunk) => hash.update(chunk)),
      parse({
        bom: true,
        relax_column_count: true,
        relax_quotes: true,
        skip_empty_lines: true,
        max_record_size: maximumRecordBytes,
      }),
      sinkOf(takeRecord),
    );
  } catch (error) {
    throw error instanceof NotInvoicesError
      ? error
      : new NotInvoicesError(whyUnreadable(error, path), { cause: error });
  }
  if (lines === 0) throw new NotInvoicesError(`${path} has no invoice lines.`);
  return { contentHash: hash.digest("hex") };
}

/** Takes the records one by one. A stream's sink rather than a loop over its items: a promise per record doubles the time. */
function sinkOf(take: (record: readonly string[]) => void): Writable {
  return new Writable({
    objectMode: true,
    write(record, _encoding, done) {
      try {
        take(record);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
}

/** How a record becomes a line, once the header has told which column is where. */
function lineReader(header: readonly string[], path: string): (record: readonly string[]) => InvoiceLine {
  const names = header.map((name) => name.trim());
  const missing = columns.filter((name) => !names.includes(name));
  if (missing.length > 0) {
    throw new NotInvoicesError(
      `${path} is not a file of invoices: its first line lacks ${missing.length === 1 ? "the column" : "the columns"} ${missing.join(", ")}.`,
    );
  }
  const at = Object.fromEntries(columns.map((name) => [name, names.indexOf(name)])) as Record<ColumnName, number>;
  return (record) => {
    const quantity = toPieces(record[at.Quantity] ?? "");
    const priceMinor = toMinor(record[at.UnitPrice] ?? "");
    const customer = toCustomer(record[at.CustomerID] ?? "");
    return {
      invoice: (record[at.InvoiceNo] ?? "").trim(),
      code: record[at.StockCode] ?? "",
      description: (record[at.Description] ?? "").trim(),
      ...(quantity !== undefined && { quantity }),
      ...(priceMinor !== undefined && { priceMinor }),
      ...(customer !== undefined && { customer }),
    };
  };
}

function toPieces(text: string): number | undefined {
  const [, digits] = /^\s*(-?\d{1,9})(?:\.0*)?\s*$/.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** `2.55` is 255. Read digit by digit, because 2.55 * 100 is not 255; what is finer than the minor unit is rounded half up. */
function toMinor(text: string): number | undefined {
  const [, sign, whole, fraction = ""] = /^\s*(-?)(\d{1,9})(?:\.(\d*))?\s*$/.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const minor =
    Number(whole) * 100 + Number(fraction.padEnd(2, "0").slice(0, 2)) + (Number(fraction[2] ?? "0") >= 5 ? 1 : 0);
  return sign === "-" ? -minor : minor;
}

/** Spreadsheets that saw an empty cell in the column write every customer as a decimal: `12923.0`. */
function toCustomer(text: string): string | undefined {
  const customer = text.trim().replace(/\.0+$/, "");
  return customer === "" || /^nan$/i.test(customer) ? undefined : customer;
}

function whyUnreadable(error: unknown, path: string): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOENT") return `There is no file ${path}.`;
  if (code === "EISDIR") return `${path} is a folder, not a file of invoices.`;
  if (code === "EACCES") return `${path} may not be read.`;
  return `${path} is not a file of invoices: ${error instanceof Error ? error.message : String(error)}`;
}
