/** The provider's process: serves its directories until SIGTERM, and prints `{"ports":[N]}` once it listens, or `{"fault":"..."}`. */

import { mkdir } from "node:fs/promises";
import { parseArgs } from "node:util";
import { findHolder, newNonce, writeHolder } from "./holder.ts";
import { openProvider } from "./provider.ts";
import { readSecrets } from "./secrets.ts";
import { listen } from "./server.ts";

const usage = `provider-sim: a card provider that moves no money.

  --directory DIR      where its journal lies (made if missing)
  --secret-file FILE   JSON with apiSecret and webhookSecret
  --port N             0: one that is free
                       These three once for each provider: several share a process, and nothing else.
  --latency-ms N       what each call takes at least (default 5)
  --key-memory-ms N    how long an idempotency key protects its call (default a day)
`;

const dayMs = 86_400_000;

async function main(): Promise<void> {
  const { books, latencyMs, keyMemoryMs } = readArguments();
  const faces = await Promise.all(books.map((one) => open({ ...one, latencyMs, keyMemoryMs })));
  let ending = false;
  const end = async () => {
    if (ending) return;
    ending = true;
    await Promise.all(faces.map((face) => face.close()));
    process.exit(0);
  };
  process.on("SIGTERM", () => void end());
  process.on("SIGINT", () => void end());
  process.stdout.write(`${JSON.stringify({ ports: faces.map(({ port }) => port) })}\n`);
}

type Face = ReturnType<typeof readArguments>["books"][number] & {
  readonly latencyMs: number;
  readonly keyMemoryMs: number;
};

async function open({ directory, secretFile, port, latencyMs, keyMemoryMs }: Face) {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const holder = await findHolder(directory);
  if (holder !== undefined)
    throw new Error(`Process ${holder.pid} already serves ${directory} on port ${holder.port}.`);
  const { apiSecret, webhookSecret } = await readSecrets(secretFile);
  const provider = await openProvider({ directory, keyMemoryMs, webhookSecret, onFailure: dieOf });
  const nonce = newNonce();
  const server = await listen({ provider, apiSecret, nonce, latencyMs, port });
  await writeHolder(directory, { pid: process.pid, port: server.port, nonce });
  return {
    port: server.port,
    async close() {
      await server.close();
      await provider.close();
    },
  };
}

function readArguments() {
  const { values } = parseArgs({
    options: {
      directory: { type: "string", multiple: true, default: [] },
      "secret-file": { type: "string", multiple: true, default: [] },
      port: { type: "string", multiple: true, default: [] },
      "latency-ms": { type: "string", default: "5" },
      "key-memory-ms": { type: "string", default: String(dayMs) },
    },
  });
  const { directory: directories, "secret-file": secretFiles, port: ports } = values;
  if (directories.length === 0 || secretFiles.length !== directories.length || ports.length !== directories.length)
    throw new Error(`--directory, --secret-file and --port are needed, each as often.\n\n${usage}`);
  return {
    books: directories.map((directory, index) => ({
      directory,
      secretFile: secretFiles[index] ?? "",
      port: wholeNumber("--port", ports[index] ?? "", 65_535),
    })),
    latencyMs: wholeNumber("--latency-ms", values["latency-ms"], 60_000),
    keyMemoryMs: wholeNumber("--key-memory-ms", values["key-memory-ms"], 365 * dayMs),
  };
}

function wholeNumber(name: string, text: string, maximum: number): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number > maximum) throw new Error(`${name} must be a whole number from 0 to ${maximum}.`);
  return number;
}

/** After a failed write nobody may be answered: what the disk holds is unknown until the journal is read again. */
function dieOf(error: unknown): never {
  process.stderr.write(`The journal could not be written: ${error instanceof Error ? error.message : error}\n`);
  process.exit(70);
}

main().catch((error) => {
  const fault = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${fault}\n`);
  process.stdout.write(`${JSON.stringify({ fault })}\n`);
  process.exit(1);
});
