import { createServer } from "node:net";
import { type Static, Type } from "typebox";
import type { DataFolder } from "./data-folder.ts";
import { readJsonFile, writeJsonFile } from "./json-file.ts";

const Port = Type.Integer({ minimum: 1, maximum: 65_535 });
const Ports = Type.Object({ http: Type.Optional(Port), providers: Type.Optional(Type.Array(Port)) });

/** Ports that this data's shop used last. They are kept, so that what a person copied yesterday works today. */
export type Ports = Static<typeof Ports>;

export const readPorts = async ({ portsFile }: DataFolder): Promise<Ports> =>
  (await readJsonFile(portsFile, Ports)) ?? {};
export const writePorts = ({ portsFile }: DataFolder, ports: Ports): void => writeJsonFile(portsFile, ports);

/** The port that was asked for by name is another program's. */
export class PortTakenError extends Error {
  override readonly name = "PortTakenError";
  constructor(port: number) {
    super(`Port ${port} is taken by another program. Choose another with --port, or leave it out.`);
  }
}

/** `exactly` this port, 0 meaning any free one; or the first of `oneOf` that is free, else any free one. */
export type WantedPort = { readonly exactly: number } | { readonly oneOf: readonly (number | undefined)[] };

// Between finding a port free and taking it another program can take it; so often in a row it is something else.
const attempts = 4;

/**
 * Starts something on a free port, and again on another one when that was taken in between.
 * @throws {PortTakenError} when exactly this port was wanted.
 */
export async function onFreePort<Result>(
  wanted: WantedPort,
  start: (port: number) => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    const port = await choosePortFor(wanted, attempt);
    try {
      return await start(port);
    } catch (error) {
      // Whoever took it may have left it again by now: another start that only looked, say.
      if (!saysTaken(error) && (await isFree(port))) throw error;
      if ("exactly" in wanted && wanted.exactly !== 0) throw new PortTakenError(port);
      if (attempt === attempts) throw error;
    }
  }
}

/** A child process tells in its words what kept it from starting. */
const saysTaken = (error: unknown): boolean => String(error).includes("EADDRINUSE");

async function choosePortFor(wanted: WantedPort, attempt: number): Promise<number> {
  if ("oneOf" in wanted) return await choosePort(attempt === 1 ? wanted.oneOf : []);
  if (wanted.exactly !== 0) await mustBeFree(wanted.exactly);
  return wanted.exactly === 0 ? await choosePort([]) : wanted.exactly;
}

/** The first of the ports that is free, else any free one. */
export async function choosePort(oneOf: readonly (number | undefined)[]): Promise<number> {
  for (const port of oneOf) if (port !== undefined && (await isFree(port))) return port;
  return await tryPort(0);
}

/** @throws {PortTakenError} */
export async function mustBeFree(port: number): Promise<void> {
  if (!(await isFree(port))) throw new PortTakenError(port);
}

const isFree = (port: number): Promise<boolean> =>
  tryPort(port).then(
    () => true,
    () => false,
  );

function tryPort(wanted: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer();
  server.once("error", reject);
  server.listen(wanted, "127.0.0.1", () => {
    const address = server.address();
    server.close(() => resolve(typeof address === "object" && address !== null ? address.port : wanted));
  });
  return promise;
}
