import { type Static, Type } from "typebox";
import type { DataFolder } from "./data-folder.ts";
import { readJsonFile, writeJsonFile } from "./json-file.ts";
import { isAlive, ProcessMark } from "./process-mark.ts";

const Optional = <Schema extends ReturnType<typeof Type.String> | typeof ProcessMark>(schema: Schema) =>
  Type.Optional(schema);

const ServerFile = Type.Object({
  /** The process that serves. */
  server: ProcessMark,
  since: Type.String(),
  /** The command that it runs. */
  verb: Type.String(),
  /** Present once everything is up. */
  url: Optional(Type.String()),
  databaseUrl: Optional(Type.String()),
  /** The fastest way to the same database for programs of this user. */
  databaseLocalUrl: Optional(Type.String()),
  /** The card providers, the one that new payments went to first before the others. */
  providers: Type.Optional(Type.Array(Type.Object({ name: Type.String(), url: Type.String() }))),
  /** Brokers that its events go through. */
  kafka: Optional(Type.String()),
  /** The Redis in which its gate stands, without the password. */
  redis: Optional(Type.String()),
  /** What it started; the next start ends what a killed server left. */
  postgres: Optional(ProcessMark),
  provider: Optional(ProcessMark),
  kafkaBroker: Optional(ProcessMark),
  redisServer: Optional(ProcessMark),
});

/** What a server tells about itself, for other processes of the same user. It outlives a server that was killed. */
export type ServerFile = Static<typeof ServerFile>;

export const writeServerFile = ({ serverFile }: DataFolder, content: ServerFile): void =>
  writeJsonFile(serverFile, content);

export const readServerFile = ({ serverFile }: DataFolder): Promise<ServerFile | undefined> =>
  readJsonFile(serverFile, ServerFile);

/** The same, if that server is alive. */
export async function readLivingServer(data: DataFolder): Promise<ServerFile | undefined> {
  const content = await readServerFile(data);
  return content !== undefined && isAlive(content.server) ? content : undefined;
}
