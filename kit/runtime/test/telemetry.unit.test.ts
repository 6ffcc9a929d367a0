import { access, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitFor } from "@onsale/testing";
import { expect, onTestFinished, test } from "vitest";
import { describeError, type OpenLogger, openLogger } from "../src/logger.ts";
import { defineFact, defineGauge, metricsPage, startTelemetry } from "../src/telemetry.ts";

async function loggedLines(work: (log: OpenLogger) => void): Promise<Record<string, unknown>[]> {
  const folder = await mkdtemp(join(tmpdir(), "onsale-log-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, "test.log");
  const log = await openLogger({ level: "info", file });
  work(log);
  log.flush();
  return (await readFile(file, "utf8"))
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

test("a fact moves its counter by its count and logs its fixed message", async () => {
  const sold = defineFact("unit sold", { counter: "onsale_test_sold_total", labels: ["channel"], level: "info" });
  const lines = await loggedLines(({ logger }) => {
    startTelemetry(logger);
    sold({ channel: "web", count: 3, orderId: "o-1" });
    sold({ channel: "web" });
  });
  expect(lines[0]).toMatchObject({ msg: "unit sold", channel: "web", count: 3, orderId: "o-1", level: "info" });
  expect((await metricsPage()).body).toContain('onsale_test_sold_total{channel="web"} 4');
});

test("what is named as a secret or tells about a person does not reach the log", async () => {
  const lines = await loggedLines(({ logger }) =>
    logger.info({ password: "p", person: { email: "a@b", accessToken: "t" } }, "hello"),
  );
  expect(lines[0]).toMatchObject({ password: "[secret]", person: { email: "[secret]", accessToken: "[secret]" } });
});

test("an error is told without the row that it is about, its causes included", async () => {
  const database = Object.assign(new Error("duplicate key"), {
    code: "23505",
    detail: "Key (email)=(jane@example.org) exists.",
  });
  const error = new Error("could not register", { cause: database });
  const [line] = await loggedLines(({ logger }) => logger.error({ error }, "failed"));
  expect(line).toMatchObject({
    error: { message: "could not register", cause: { message: "duplicate key", code: "23505" } },
  });
  expect(JSON.stringify(line)).not.toContain("jane@example.org");
  expect(describeError("just words")).toEqual({ type: "string", message: "just words" });
});

test("after the file was renamed, lines go to a new one of the old name", async () => {
  const folder = await mkdtemp(join(tmpdir(), "onsale-log-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, "test.log");
  const log = await openLogger({ level: "info", file });
  log.logger.info("before");
  log.flush();
  await rename(file, `${file}.1`);
  log.reopen();
  await waitFor(() => access(file).then(() => true));
  log.logger.info("after");
  log.flush();
  expect(await readFile(`${file}.1`, "utf8")).toContain("before");
  expect(await readFile(file, "utf8")).toContain("after");
});

test("a gauge that can't be read leaves the other metrics readable", async () => {
  defineFact("other", { counter: "onsale_test_other_total" })();
  defineGauge("onsale_test_backlog", "backlog", () => Promise.reject(new Error("away")));
  expect((await metricsPage()).body).toContain("onsale_test_other_total 1");
});
