import { readFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InUseError } from "@onsale/child-process";
import { PortTakenError, startKafka } from "@onsale/kafka-server";
import { jarsOfTests, ownKafka, requiresKafka, spawnNode, testKafka, waitFor } from "@onsale/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import { Topic } from "./topic.ts";

// Starts of virtual machines on two cores that other tests use too.
const timeout = 120_000;

describe.skipIf(!(await requiresKafka()))("a Kafka broker", { timeout }, () => {
  test("keeps what is written, in order", async () => {
    const { bootstrap, prefix } = await testKafka();
    await using topic = new Topic(bootstrap, `${prefix}orders`);
    await topic.make();
    await topic.write("placed", "paid", "sent");
    expect(await topic.read(3)).toEqual(["placed", "paid", "sent"]);
  });

  test("makes no topic that nobody asked for", async () => {
    const { bootstrap, prefix } = await testKafka();
    await using topic = new Topic(bootstrap, `${prefix}misspelt`);
    await expect(topic.write("lost")).rejects.toThrow();
  });

  test("killed, or stopped in good order, and started again it has its data and its address", async () => {
    await using kafka = await ownKafka();
    await using topic = new Topic(kafka.bootstrap, "orders");
    await topic.make();
    await topic.write("one");
    await kafka.server.kill();
    await expect(kafka.server.ended).resolves.toContain("SIGKILL");
    await kafka.start();
    await topic.write("two");
    await kafka.server.stop();
    await expect(kafka.server.ended).resolves.toMatch(/143|SIGTERM/);
    await kafka.start();
    expect(await topic.read(2)).toEqual(["one", "two"]);
  });

  test("starts from classes that an earlier start has read", async () => {
    await using owned = await brokerOfAnother();
    expect(await readFile(`/proc/${owned.pid}/maps`, "utf8")).toContain("classes.jsa");
  });

  test("frozen it does not answer; it goes on when it is let", async () => {
    await using kafka = await ownKafka();
    await using topic = new Topic(kafka.bootstrap, "orders");
    await topic.make();
    await topic.write("one");
    kafka.server.pause();
    // The signal reaches one thread of the broker after the other.
    await waitFor(async () => (await statesOf(kafka.server.pid)).every((state) => state === "T"));
    await expect(topic.write("two")).rejects.toThrow();
    kafka.server.resume();
    await waitFor(() => topic.write("three").then(() => true));
    expect((await topic.read(2)).at(0)).toBe("one");
  });

  test("ends when its owner is killed", async () => {
    await using owned = await brokerOfAnother();
    owned.owner.signal("SIGKILL");
    await waitFor(() => !isAlive(owned.pid), { what: "the end of the broker" });
  });

  test("left over by an owner and a warden who were both killed, it is ended by the next start", async () => {
    await using owned = await brokerOfAnother();
    for (const warden of await wardensOf(owned.pid)) process.kill(warden, "SIGKILL");
    owned.owner.signal("SIGKILL");
    await owned.owner.ended;
    expect(isAlive(owned.pid)).toBe(true);
    const next = await startKafka({ directory: owned.directory, jars: jarsOfTests, machine: "quick" });
    onTestFinished(() => next.kill());
    expect(isAlive(owned.pid)).toBe(false);
    expect(next.bootstrap).toBe(owned.bootstrap);
  });

  test("a folder in use, and a port that another program has, are refused by name", async () => {
    await using owned = await brokerOfAnother();
    await expect(startKafka({ directory: owned.directory, jars: jarsOfTests })).rejects.toThrow(InUseError);
    const other = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void other.close());
    await waitFor(() => other.listening);
    const { port } = other.address() as { port: number };
    const directory = join(owned.directory, "second");
    await expect(startKafka({ directory, jars: jarsOfTests, port })).rejects.toThrow(PortTakenError);
    expect(isAlive(owned.pid)).toBe(true);
  });
});

async function brokerOfAnother() {
  const directory = await mkdtemp(join(tmpdir(), "onsale-kafka-"));
  const owner = await spawnNode(new URL("./owner-process.ts", import.meta.url), { args: [directory, jarsOfTests] });
  const [, pid = "", bootstrap = ""] = (await owner.line(/^broker: /, 60_000)).split(" ");
  return {
    ...{ directory, owner, pid: Number(pid), bootstrap },
    async [Symbol.asyncDispose]() {
      await owner[Symbol.asyncDispose]();
      await waitFor(() => !isAlive(Number(pid)));
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** One that has ended, and that nobody has collected yet, is not: it has no command line any more. */
function isAlive(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8") !== "";
  } catch {
    return false;
  }
}

/** Of each of its threads, as the system calls it: T is stopped. */
async function statesOf(pid: number): Promise<string[]> {
  const threads = await readdir(`/proc/${pid}/task`);
  const stats = await Promise.all(threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/stat`, "utf8")));
  // The name stands in brackets and may itself hold brackets and spaces.
  return stats.map((stat) => stat.slice(stat.lastIndexOf(")") + 2).charAt(0));
}

/** The processes that watch over a broker; found as only Linux allows. */
async function wardensOf(pid: number): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    const command = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    if (command.includes("warden-process") && command.includes(`\0${pid}\0`)) found.push(Number(name));
  }
  return found;
}
