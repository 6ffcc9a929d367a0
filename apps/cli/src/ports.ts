import { createServer } from "node:net";
import { type Static, Type } from "typebox";
import type { DataFolder } from "./data-folder.ts";
import { readJsonFile, writeJsonFile } from "./json-file.ts";

const Port = Type.Integer({ minimum: 1, maximum: 65_535 });
const Ports = Type.Object({ http: Type.Optional(Port), provider: Type.Optional(Port) });

/** Ports that this data's shop used last. They are kept, so that what a person copied yesterday works today. */
export type Ports = Static<typeof Ports>;

export const readPorts = async ({ portsFile }: DataFolder): Promise<Ports> =>
  (await readJsonFile(portsFile, Ports)) ?? {};
export const writePorts = ({ portsFile }: DataFolder, ports: Ports): void => writeJsonFile(portsFile, ports);

/** The first of the wanted ports that is free on this machine's own address, else any free one. */
export async function choosePort(wanted: readonly (number | undefined)[]): Promise<number> {
  for (const port of wanted) if (port !== undefined && (await isFree(port))) return port;
  return await anyFreePort();
}

export async function isFree(port: number): Promise<boolean> {
  return await tryPort(port).then(
    () => true,
    () => false,
  );
}

const anyFreePort = (): Promise<number> => tryPort(0);

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
