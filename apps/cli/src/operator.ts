import { join } from "node:path";
import { type Static, Type } from "typebox";
import type { Configuration } from "./configuration.ts";
import type { DataFolder } from "./data-folder.ts";
import { readJsonFile, writeJsonFile } from "./json-file.ts";
import { newPassword } from "./secrets.ts";

const OperatorLogIn = Type.Object({ email: Type.String(), password: Type.String() });
export type OperatorLogIn = Static<typeof OperatorLogIn>;

const pathIn = ({ secrets }: DataFolder): string => join(secrets, "operator.json");

/** The log-in that the shop is opened with: as configured; a password that nobody chose is made once. It is kept for commands run beside the server. */
export async function settleOperator(
  data: DataFolder,
  { operatorEmail, operatorPassword }: Configuration,
): Promise<OperatorLogIn> {
  const before = await readOperator(data);
  const logIn = { email: operatorEmail, password: operatorPassword ?? before?.password ?? newPassword() };
  writeJsonFile(pathIn(data), logIn);
  return logIn;
}

/** The log-in of the shop that runs on this data, or ran last. */
export const readOperator = (data: DataFolder): Promise<OperatorLogIn | undefined> =>
  readJsonFile(pathIn(data), OperatorLogIn);
