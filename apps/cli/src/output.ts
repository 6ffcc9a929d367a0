import { type Command, Option } from "commander";

export type OutputForm = "pretty" | "json";

/** Adds the options that every command on data has. */
export const withDataAndOutput = (command: Command): Command =>
  withOutput(
    command.addOption(
      new Option(
        "--data <dir>",
        "folder of the embedded data (default: ONSALE_DATA, else .onsale/data under the checkout)",
      ),
    ),
  );

/** Adds the option of every command that prints a result. */
export const withOutput = (command: Command): Command =>
  command.addOption(new Option("-o, --output <form>", "what is printed").choices(["pretty", "json"]).default("pretty"));

/** What `withDataAndOutput` adds. */
export interface DataAndOutput {
  readonly data?: string;
  readonly output: OutputForm;
}

/** Prints a command's result as the last thing on standard output: one JSON object, or words made from it. */
export function printResult<Result extends object>(
  form: OutputForm,
  result: Result,
  inWords: (result: Result) => string,
): void {
  process.stdout.write(`${form === "json" ? JSON.stringify(result) : inWords(result)}\n`);
}

/** Words for the person at the terminal, on standard error, where they can't spoil a result. */
export const say = (words: string): void => void process.stderr.write(`${words}\n`);

/** A command that ends with this code and, where there are any, these words. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
  readonly exitCode: number;
  constructor(words: string, exitCode = 1) {
    super(words);
    this.exitCode = exitCode;
  }
}
