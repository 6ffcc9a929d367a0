import { createServer } from "node:net";

/** Ports of 127.0.0.1 that nobody listens on: each of `wanted` if it is free, else (and for 0) any. */
export async function freePorts(wanted: readonly number[]): Promise<number[]> {
  const servers = await Promise.all(wanted.map(async (port) => (await listening(port)) ?? (await listening(0))));
  const ports = servers.map((server) => {
    const address = server?.address();
    if (!address || typeof address === "string") throw new Error("The system gave no free port.");
    return address.port;
  });
  await Promise.all(servers.map((server) => new Promise((closed) => server?.close(closed) ?? closed(undefined))));
  return ports;
}

function listening(port: number): Promise<ReturnType<typeof createServer> | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(undefined)).listen({ port, host: "127.0.0.1" }, () => resolve(server));
  });
}
