import { createServer, type Server } from "node:net";
import { afterEach, expect, test } from "vitest";
import { choosePort, onFreePort, PortTakenError } from "../src/ports.ts";

const servers: Server[] = [];
afterEach(() => servers.splice(0).forEach((server) => void server.close()));

function take(port: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer().once("error", reject);
  servers.push(server);
  server.listen(port, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  return promise;
}

test("the first free one of the wanted ports is chosen, else any that is free", async () => {
  const free = await choosePort([]);
  const taken = await take(0);
  expect(await choosePort([undefined, taken, free])).toBe(free);
  expect(await choosePort([taken])).not.toBe(taken);
});

test("a port that is taken between the look and the start costs another try, not the start", async () => {
  const wanted = await choosePort([]);
  const tried: number[] = [];
  const port = await onFreePort({ oneOf: [wanted] }, async (candidate) => {
    // Somebody else is faster, the first time.
    if (tried.push(candidate) === 1) await take(candidate);
    return await take(candidate);
  });
  expect(tried).toEqual([wanted, port]);
});

test("also when whoever took it has left it again", async () => {
  const wanted = await choosePort([]);
  const tried: number[] = [];
  const port = await onFreePort({ oneOf: [wanted] }, async (candidate) => {
    if (tried.push(candidate) > 1) return await take(candidate);
    await take(candidate);
    return await take(candidate).finally(() => servers.splice(0).forEach((server) => void server.close()));
  });
  expect(tried).toEqual([wanted, port]);
  await expect(onFreePort({ exactly: wanted }, () => Promise.reject(new Error("listen EADDRINUSE")))).rejects.toThrow(
    PortTakenError,
  );
});

test("a port that was asked for by name is that one or none", async () => {
  const taken = await take(0);
  await expect(onFreePort({ exactly: taken }, take)).rejects.toBeInstanceOf(PortTakenError);
  const free = await choosePort([]);
  await expect(onFreePort({ exactly: free }, (port) => take(port).then(take))).rejects.toBeInstanceOf(PortTakenError);
  expect(await onFreePort({ exactly: 0 }, take)).toBeGreaterThan(0);
});

test("a start that fails for another reason is not tried again", async () => {
  let tries = 0;
  const start = () => Promise.reject(new Error(`try ${++tries}`));
  await expect(onFreePort({ oneOf: [] }, start)).rejects.toThrow("try 1");
});
