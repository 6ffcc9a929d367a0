/** Tasks for a person, from the command line: what the program must not, or can't, decide by itself. */

import type { Command } from "commander";
import { type DataAndOutput, printResult, withDataAndOutput } from "../output.ts";
import type { OperationsApi } from "./operations-api.ts";

interface Task {
  readonly service: string;
  readonly taskId: string;
  readonly kind: string;
  readonly key: string;
  readonly what: string;
  readonly openedAt: string;
}

interface WholeTask extends Task {
  readonly closedAt: string | null;
  readonly closedBy: string | null;
  readonly outcome: string | null;
}

const taskName = "as `tasks ls` prints it: service/task id";

export function register(program: Command): void {
  const tasks = program.command("tasks").description("what waits for a person");
  withDataAndOutput(tasks.command("ls"))
    .description("open tasks, the oldest first")
    .option("--service <name>", "only of this service")
    .action(list);
  withDataAndOutput(tasks.command("show").argument("<task>", taskName)).description("one task, whole").action(show);
  withDataAndOutput(tasks.command("close").argument("<task>", taskName))
    .description("say what came of it")
    .requiredOption("--outcome <words>", "for whoever reads it later")
    .action(close);
}

async function operating<Result>(data: string | undefined, work: (api: OperationsApi) => Promise<Result>) {
  const { operating } = await import("./operations-api.ts");
  return await operating(data, "tasks", work);
}

const pathOf = async (name: string): Promise<string> => (await import("./operations-api.ts")).pathOf(name);

async function list({ data, output, service }: DataAndOutput & { service?: string }): Promise<void> {
  const found = await operating(data, (api) => api.get<{ tasks: Task[] }>("tasks", { service }));
  printResult(output, found, ({ tasks }) => (tasks.length > 0 ? tasks.map(inWords).join("\n") : "Nobody is called."));
}

const inWords = ({ service, taskId, kind, key, what, openedAt }: Task): string =>
  `${service}/${taskId}  ${kind}  ${key}  since ${openedAt}\n  ${what}`;

async function show(name: string, { data, output }: DataAndOutput): Promise<void> {
  const path = `tasks/${await pathOf(name)}`;
  printResult(output, await operating(data, (api) => api.get<WholeTask>(path)), wholeInWords);
}

async function close(name: string, { data, output, outcome }: DataAndOutput & { outcome: string }): Promise<void> {
  const path = `tasks/${await pathOf(name)}/close`;
  printResult(output, await operating(data, (api) => api.send<WholeTask>("POST", path, { outcome })), wholeInWords);
}

const wholeInWords = ({ closedAt, closedBy, outcome, ...task }: WholeTask): string =>
  closedAt === null ? inWords(task) : `${inWords(task)}\n  closed ${closedAt} by ${closedBy}: ${outcome}`;
