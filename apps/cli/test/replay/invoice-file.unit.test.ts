import { describe, expect, test } from "vitest";
import { type InvoiceLine, NotInvoicesError, readInvoices } from "../../src/replay/invoice-file.ts";
import { fileOf, header, planOf, realInvoices, temporaryFolder } from "./invoices.ts";

async function linesOf(content: string | Buffer): Promise<InvoiceLine[]> {
  const lines: InvoiceLine[] = [];
  await readInvoices(await fileOf(content), (line) => lines.push(line));
  return lines;
}

const row = "536365,85123A,WHITE HANGING HEART T-LIGHT HOLDER,6,1/12/2010,2.55,17850,United Kingdom";

describe("every spelling of the same export", () => {
  const expected = {
    invoice: "536365",
    code: "85123A",
    description: "WHITE HANGING HEART T-LIGHT HOLDER",
    quantity: 6,
    priceMinor: 255,
    customer: "17850",
  };

  test.each([
    ["plain", `${header}\n${row}\n`],
    ["with a byte order mark and CRLF", `\uFEFF${header}\r\n${row}\r\n`],
    ["without an end of line", `${header}\n${row}`],
    ["with ISO dates", `${header}\n${row.replace("1/12/2010", "2010-12-01 08:26:00")}`],
    ["with customers as decimals", `${header}\n${row.replace("17850", "17850.0")}`],
    ["with quantities as decimals", `${header}\n${row.replace(",6,", ",6.0,")}`],
    [
      "with quoted fields",
      `${header}\n${row.replace("WHITE HANGING HEART T-LIGHT HOLDER", '"WHITE HANGING HEART T-LIGHT HOLDER"')}`,
    ],
    ["with other columns between", `Shop,${header}\n1,${row}`],
    ["with empty lines", `${header}\n\n${row}\n\n`],
  ])("%s", async (_, content) => {
    expect(await linesOf(content)).toEqual([expected]);
  });

  test("a guest has no customer, however that is written", async () => {
    for (const empty of ["", "nan", "NaN", " "]) {
      expect(await linesOf(`${header}\n${row.replace("17850", empty)}`)).not.toHaveProperty("0.customer");
    }
  });

  test.each([
    ["2.55", 255],
    ["2.5", 250],
    ["2", 200],
    ["0", 0],
    ["0.001", 0],
    ["0.005", 1],
    ["8.145", 815],
    ["-11062.06", -1106206],
  ])("the price %s is %i pence", async (price, priceMinor) => {
    expect(await linesOf(`${header}\n${row.replace("2.55", price)}`)).toMatchObject([{ priceMinor }]);
  });

  test.each(["", "abc", "1e3", "2,55", "0x10", "Infinity"])("the price %j can't be read", async (price) => {
    expect(await linesOf(`${header}\n${row.replace("2.55", `"${price}"`)}`)).not.toHaveProperty("0.priceMinor");
  });
});

describe("what is no file of invoices says why", () => {
  test.each([
    ["an empty file", "", "has no invoice lines"],
    ["a header alone", `${header}\n`, "has no invoice lines"],
    [
      "another table",
      "name,age\nAda,36\n",
      "lacks the columns InvoiceNo, StockCode, Description, Quantity, UnitPrice, CustomerID",
    ],
    ["one column missing", `${header.replace("Quantity,", "")}\n`, "lacks the column Quantity"],
    ["a picture", Buffer.from("89504e470d0a1a0a0000000d49484452", "hex"), "is not a file of invoices"],
    ["a line without end", Buffer.alloc(200_000, "x"), "is not a file of invoices"],
  ])("%s", async (_, content, why) => {
    const reading = linesOf(content);
    await expect(reading).rejects.toBeInstanceOf(NotInvoicesError);
    await expect(reading).rejects.toThrow(why);
  });

  test("a missing file and a folder are named", async () => {
    const folder = await temporaryFolder();
    await expect(planOf(`${folder}/none.csv`)).rejects.toThrow(`There is no file ${folder}/none.csv.`);
    await expect(planOf(folder)).rejects.toThrow(`${folder} is a folder`);
  });
});

test("half a million lines pass through a few megabytes", async () => {
  const body = Array.from({ length: 5_000 }, (_, index) => row.replace("536365", String(536_365 + index))).join("\n");
  const path = await fileOf(`${header}\n${Array(100).fill(body).join("\n")}`);
  let lines = 0;
  let peak = 0;
  const before = process.memoryUsage().heapUsed;
  await readInvoices(path, () => {
    lines++;
    if (lines % 10_000 === 0) peak = Math.max(peak, process.memoryUsage().heapUsed - before);
  });
  expect(lines).toBe(500_000);
  // The file has 44 MB: reading it at once would take several times that.
  expect(peak).toBeLessThan(100 * 1024 * 1024);
});

test("equal content has an equal hash, whatever the file is called", async () => {
  const hashOf = async (content: string) => (await readInvoices(await fileOf(content), () => undefined)).contentHash;
  expect(await hashOf(`${header}\n${row}`)).toBe(await hashOf(`${header}\n${row}`));
  expect(await hashOf(`${header}\n${row}`)).not.toBe(await hashOf(`${header}\n${row}\n`));
});

test("the real file is read whole", async () => {
  expect(await planOf(realInvoices)).toMatchObject({ lines: 9_999, invoices: 512 });
});
