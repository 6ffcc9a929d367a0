import { Command } from "commander";
import * as audit from "./audit/command.ts";
import * as bench from "./bench.ts";
import { version } from "./checkout.ts";
import * as drill from "./drill.ts";
import * as fairness from "./fairness.ts";
import * as lab from "./lab.ts";
import * as consumers from "./operate/consumers.ts";
import * as dlq from "./operate/dlq.ts";
import * as events from "./operate/events.ts";
import * as outbox from "./operate/outbox.ts";
import * as payments from "./operate/payments.ts";
import * as tasks from "./operate/tasks.ts";
import * as replay from "./replay/command.ts";
import * as reset from "./reset.ts";
import * as schema from "./schema.ts";
import * as seed from "./seed.ts";
import * as status from "./status.ts";
import * as test from "./test.ts";
import * as up from "./up.ts";

/** Every command with its options. Their work is loaded when one is called. */
export function program(): Command {
  const onsale = new Command("onsale")
    .description("A commerce backend for the moment everyone arrives at once.")
    .version(version(), "-V, --version")
    .helpCommand("help [command]", "tell about a command")
    .showSuggestionAfterError()
    .exitOverride();
  const commands = [
    up,
    status,
    seed,
    replay,
    audit,
    dlq,
    events,
    consumers,
    outbox,
    payments,
    tasks,
    schema,
    bench,
    drill,
    fairness,
    lab,
    test,
    reset,
  ];
  for (const { register } of commands) register(onsale);
  for (const command of onsale.commands) command.exitOverride();
  return onsale;
}
