/** The example's whole file of invoices: what the README shows of it, and the same paid in every way on a provider's bad day. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { checkout } from "../src/checkout.ts";
import type { ReplayReport } from "../src/replay/report.ts";
import { onsale, shopFolder } from "./command-line.ts";

const longMs = 300_000;

async function folder(): Promise<string> {
  const shop = await shopFolder();
  onTestFinished(shop.remove);
  return shop.root;
}

test(
  "the replay says what the README shows",
  async () => {
    const readme = await readFile(join(checkout, "README.md"), "utf8");
    const shown = /^```\n( {2}orders .*?)```$/ms.exec(readme)?.[1] ?? "";
    expect(shown).toMatch(/audit .* 0 violations\n$/);
    const { code, stdout, stderr } = await onsale(["replay", "--data", await folder()]);
    expect(code, stderr).toBe(0);
    expect(stdout.replace(/^ {2}speed .*\n/m, "")).toContain(shown.trimEnd());
  },
  longMs,
);

test(
  "paid by card, with points and with both, on a bad day of the provider, every order ends and the books agree",
  async () => {
    const pays = ["--pay", "mixed", "--faults", "-o", "json"];
    const { code, stdout, stderr } = await onsale(["replay", "--data", await folder(), ...pays]);
    expect(code, stderr).toBe(0);
    const { orders, money, audit, notAccepted }: ReplayReport = JSON.parse(stdout);
    expect({ notAccepted, violations: audit.violations }).toEqual({ notAccepted: [], violations: [] });
    expect(orders).toMatchObject({ submitted: 423, pending: 0 });
    expect(money.capturedMinor).toBeGreaterThan(0);
    expect(money.pointsSpentMinor).toBeGreaterThan(0);
    expect(money.pointsReturnedMinor).toBeGreaterThan(0);
  },
  longMs,
);
