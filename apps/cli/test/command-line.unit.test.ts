import { createServer } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { momentOf } from "../src/operate/payments.ts";
import { onsale, shopFolder } from "./command-line.ts";

let shop: Awaited<ReturnType<typeof shopFolder>>;
beforeAll(async () => {
  shop = await shopFolder();
});
afterAll(() => shop.remove());

test.each([
  [["upp"], /unknown command 'upp'[\s\S]*Did you mean up/],
  [["up", "--prot", "1"], /unknown option '--prot'/],
  [["up", "--port", "70000"], /whole number from 0 to 65535/],
  [["status", "-o", "yaml"], /pretty, json/],
])("%j is not understood, which exit code 2 and a word say", async (args, words) => {
  const { code, stdout, stderr } = await onsale(args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toMatch(words);
});

test("a moment is a day, or a time in UTC unless it says where", () => {
  expect(momentOf("2026-11-01")).toBe("2026-11-01T00:00:00.000Z");
  expect(momentOf("2026-11-01T09:30")).toBe("2026-11-01T09:30:00.000Z");
  expect(momentOf("2026-11-01T09:30:05+09:00")).toBe("2026-11-01T00:30:05.000Z");
  for (const words of ["lately", "2026-13-01", "01.11.2026", "2026-11-01T25:00"])
    expect(() => momentOf(words)).toThrow("moment like");
});

test("every fault of the configuration is told at once, before anything is started", async () => {
  const { code, stdout, stderr } = await onsale(["up", "--data", shop.root], {
    ONSALE_DATABSE_URL: "postgres://localhost/x",
    ONSALE_LOG_LEVEL: "loud",
    ONSALE_OPERATOR_PASSWORD: "short",
  });
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain("ONSALE_DATABSE_URL is unknown; did you mean ONSALE_DATABASE_URL?");
  expect(stderr).toContain("ONSALE_LOG_LEVEL");
  expect(stderr).toContain("ONSALE_OPERATOR_PASSWORD must be 8 to 128 characters long");
  expect(stderr).not.toContain("short");
});

test("help is asked for, so it goes to standard output, and names every command", async () => {
  const [bare, asked] = await Promise.all([onsale([]), onsale(["help"])]);
  expect([bare.code, asked.code]).toEqual([0, 0]);
  expect(bare.stdout).toBe(asked.stdout);
  for (const verb of [
    "up",
    "status",
    "test",
    "reset",
    "seed",
    "replay",
    "audit",
    "dlq",
    "events",
    "consumers",
    "outbox",
    "tasks",
    "bench",
    "lab",
    "help",
  ])
    expect(bare.stdout).toMatch(new RegExp(`^  ${verb}\\b`, "m"));
});

test("the status of no shop is known, too", async () => {
  const { code, stdout } = await onsale(["status", "-o", "json"], { ONSALE_DATA: shop.root });
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toEqual({
    ready: false,
    url: null,
    pid: null,
    data: shop.root,
    log: shop.folder.log,
    databaseUrl: null,
    providerUrl: null,
    providers: {},
    kafka: null,
    redis: null,
  });
});

test("a port that was asked for and is taken is not replaced by another", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => taken.once("listening", resolve));
  const { port } = taken.address() as { port: number };
  const { code, stderr } = await onsale(["up", "--data", shop.root, "--port", String(port)]);
  taken.close();
  expect(code).toBe(1);
  expect(stderr).toContain(`Port ${port} is taken`);
});
