import { execFile } from "node:child_process";
import { chmod, chown, readdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Binaries } from "./binaries.ts";

const run = promisify(execFile);

/** A program as it is started: with what stands before it, and as whom. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly options: { readonly uid?: number; readonly gid?: number };
}

/** As whom PostgreSQL's programs run. PostgreSQL refuses the superuser, so where we are that, a way out must be found. */
export interface Account {
  readonly description: string;
  /** Who must own the cluster's files, seen from this process. Undefined: whoever makes them. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  /** Whether every folder above the cluster must let it through. */
  readonly needsPassage: boolean;
  command(program: string, args: readonly string[]): Command;
}

interface Person {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Chooses how to run the programs on `directory`: as ourselves, or, for the superuser, the first of these that works
 * here. (1) A user namespace in which our id shows as an ordinary one: no file changes its owner, no other user is
 * needed, folders closed to others (0700) stay reachable. Containers often forbid it. (2) An existing ordinary user who
 * keeps one right of ours, to pass closed folders. (3) An existing ordinary user without any right, the owner of the
 * folder first: needs folders that this user can pass.
 */
export async function chooseAccount(directory: string, binaries: Binaries): Promise<Account> {
  if (process.getuid?.() !== 0) return asOurselves(binaries);
  const failures: string[] = [];
  for (const account of await candidates(directory, binaries)) {
    // The files in it are closed one by one; the folder must let the cluster's owner through to them.
    if (account.needsPassage) await chmod(directory, 0o711);
    const failure = await tryOut(account, directory, binaries);
    if (failure === undefined) return account;
    failures.push(`${account.description}: ${failure}`);
  }
  throw new Error(
    `PostgreSQL refuses to run as the superuser, and no other way was found to run it on ${directory}. Start Onsale as an ordinary user. (${failures.join("; ")})`,
  );
}

function asOurselves(binaries: Binaries): Account {
  return {
    description: "this user",
    needsPassage: false,
    owner: undefined,
    command: (program, args) => build([...binaries.prefix, program, ...args], {}),
  };
}

async function candidates(directory: string, binaries: Binaries): Promise<Account[]> {
  const people = await ordinaryPeople(directory);
  const [first] = people;
  if (first === undefined) return [];
  return [
    inUserNamespace(first, binaries),
    ...people.map((person) => withPassage(person, binaries)),
    ...people.map((person) => withoutRights(person, binaries)),
  ];
}

/** Users to be: the owner of the folder, if he is an ordinary one, and those that systems keep for such a purpose. */
async function ordinaryPeople(directory: string): Promise<Person[]> {
  const all = parsePasswd(await readFile("/etc/passwd", "utf8").catch(() => ""));
  const { uid: ownerUid } = await stat(dirname(directory));
  const byName = (name: string) => all.find((person) => person.name === name);
  const wanted = [
    all.find((person) => person.uid === ownerUid),
    byName("postgres"),
    byName("nobody"),
    byName("daemon"),
  ];
  return wanted.filter(
    (person, index): person is Person => person !== undefined && person.uid > 0 && wanted.indexOf(person) === index,
  );
}

function parsePasswd(text: string): Person[] {
  return text
    .split("\n")
    .map((line) => line.split(":"))
    .map(([name = "", , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter(({ name, uid, gid }) => name !== "" && Number.isInteger(uid) && Number.isInteger(gid));
}

function inUserNamespace({ uid, gid }: Person, binaries: Binaries): Account {
  const wrapper = ["unshare", "--user", `--map-user=${uid}`, `--map-group=${gid}`, "--"];
  return {
    description: "in a user namespace",
    needsPassage: false,
    owner: { uid: 0, gid: 0 },
    command: (program, args) => build([...wrapper, ...binaries.prefix, program, ...args], {}),
  };
}

function withPassage({ name, uid, gid }: Person, binaries: Binaries): Account {
  const right = "+dac_override";
  const wrapper = [
    "setpriv",
    `--reuid=${uid}`,
    `--regid=${gid}`,
    "--clear-groups",
    `--inh-caps=${right}`,
    `--ambient-caps=${right}`,
    "--",
  ];
  return {
    description: `as ${name} with the right to pass closed folders`,
    needsPassage: false,
    owner: { uid, gid },
    command: (program, args) => build([...wrapper, ...binaries.prefix, program, ...args], {}),
  };
}

function withoutRights({ name, uid, gid }: Person, binaries: Binaries): Account {
  return {
    description: `as ${name}`,
    needsPassage: true,
    owner: { uid, gid },
    command: (program, args) => build([...binaries.prefix, program, ...args], { uid, gid }),
  };
}

function build([file = "", ...args]: readonly string[], options: Command["options"]): Command {
  return { file, args, options };
}

/** Why an account can't run the programs in this directory; undefined when it can. */
async function tryOut(account: Account, directory: string, binaries: Binaries): Promise<string | undefined> {
  const { file, args, options } = account.command("/bin/sh", [
    "-c",
    'cd "$1" && "$2" --version',
    "sh",
    directory,
    binaries.postgres,
  ]);
  try {
    await run(file, args, { ...options, timeout: 10_000 });
    return undefined;
  } catch (error) {
    const { stderr, code } = error as { stderr?: string; code?: string | number };
    return stderr?.trim().split("\n").at(-1) || String(code);
  }
}

/** Gives a cluster's files to the account, when they belong to another: it may have been started another way before. */
export async function giveTo(account: Account, path: string): Promise<void> {
  if (account.owner === undefined) return;
  const { uid, gid } = account.owner;
  const before = await stat(path);
  if (before.uid === uid) return;
  const entries = await readdir(path, { recursive: true }).catch(() => []);
  // Top last: a change that was interrupted is begun again.
  for (const entry of entries) await chown(join(path, entry), uid, gid);
  await chown(path, uid, gid);
}
