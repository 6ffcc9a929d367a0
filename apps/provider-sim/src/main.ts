/** The provider's process: serves one directory until SIGTERM, and prints `{"port":N}` once it listens. */

import { mkdir } from "node:fs/promises";
import { parseArgs } from "node:util";
import { findHolder, newNonce, writeHolder } from "./holder.ts";
import { openProvider } from "./provider.ts";
import { readSecrets } from "./secrets.ts";
import { listen } from "./server.ts";

const usage = `provider-sim: a card provider that moves no money.

  --directory DIR      where its journal lies (made if missing)
  --secret-file FILE   JSON with apiSecret and webhookSecret
  --port N             default: one that is free
  --latency-ms N       what each call takes at least (default 5)
  --key-memory-ms N    how long an idempotency key protects its call (default a day)
`;

const dayMs = 86_400_000;

async function main(): Promise<void> {
  const settings = readArguments();
  await mkdir(settings.directory, { recursive: true, mode: 0o700 });
  const holder = await findHolder(settings.directory);
  if (holder !== undefined)
    throw new Error(`Process ${holder.pid} already serves ${settings.directory} on port ${holder.port}.`);

  const { apiSecret, webhookSecret } = await readSecrets(settings.secretFile);
  const provider = await openProvider({ ...settings, webhookSecret, onFailure: dieOf });
  const nonce = newNonce();
  const server = await listen({ provider, apiSecret, nonce, latencyMs: settings.latencyMs, port: settings.port });
  await writeHolder(settings.directory, { pid: process.pid, port: server.port, nonce });

  let ending = false;
  const end = async () => {
    if (ending) return;
    ending = true;
    await server.close();
    await provider.close();
    process.exit(0);
  };
  process.on("SIGTERM", () => void end());
  process.on("SIGINT", () => void end());
  process.stdout.write(`${JSON.stringify({ port: server.port })}\n`);
}

function readArguments() {
  const { values } = parseArgs({
    options: {
      directory: { type: "string" },
      "secret-file": { type: "string" },
      port: { type: "string", default: "0" },
      "latency-ms": { type: "string", default: "5" },
      "key-memory-ms": { type: "string", default: String(dayMs) },
    },
  });
  const { directory, "secret-file": secretFile } = values;
  if (directory === undefined || secretFile === undefined)
    throw new Error(`--directory and --secret-file are needed.\n\n${usage}`);
  return {
    directory,
    secretFile,
    port: wholeNumber("--port", values.port, 65_535),
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
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exit(1);
});
