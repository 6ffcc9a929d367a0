import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { badDay, noFaults, setFaults } from "@onsale/provider-sim";
import { audit } from "../audit/audit.ts";
import { configuration } from "../configuration.ts";
import { foldersIn } from "../data-folder.ts";
import { type Hold, type Holder, take } from "../holders.ts";
import { loggedIn } from "../logged-in.ts";
import { CommandFailure, say } from "../output.ts";
import { begunSaga } from "../saga-style.ts";
import { keptSecret } from "../secrets.ts";
import { type Session, withServer } from "../session.ts";
import { Shop, UnexpectedAnswerError } from "../shop.ts";
import { ShopClient, ShopUnreachableError } from "../shop-client.ts";
import type { ReplayCommand } from "./command.ts";
import type { Play } from "./identity.ts";
import { NotInvoicesError, readInvoices } from "./invoice-file.ts";
import { DamagedJournalError } from "./journal.ts";
import { maximumUnderWay } from "./place-orders.ts";
import { type Plan, Planner } from "./plan.ts";
import { progressOn } from "./progress.ts";
import { type ReplayOutcome, replayInvoices } from "./replay.ts";
import { type ReplayReport, reportOf } from "./report.ts";
import { journalName, LostOrdersError, type ReplayOptions } from "./run.ts";

const exampleFile = fileURLToPath(
  new URL("../../../../examples/online-retail/invoices-2010-12-01-to-05.csv", import.meta.url),
);

/** The file's prices are in pounds. */
const currency = "GBP";

/** Which calls the provider's faults strike; the same in every run, so that a failure can be repeated. */
const faultSeed = 1;

/** Reads and plans the file, plays it in the shop of this data, and audits what came of it. */
export async function performReplay(file: string = exampleFile, command: ReplayCommand): Promise<ReplayReport> {
  try {
    const { plan, contentHash } = await planFile(file);
    const options = optionsOf(file, command, {
      plan,
      play: { contentHash, stockShare: command.stockShare, payment: command.pay },
    });
    const opening = { verb: "replay", withRedis: command.inventory === "redis" && configuration().redis === undefined };
    return await withServer(
      command.data,
      (session) => playIn(session, options, command),
      command.saga === undefined ? opening : { ...opening, saga: command.saga },
    );
  } catch (error) {
    throw isForPeople(error) ? new CommandFailure(error.message) : error;
  }
}

const withoutGate =
  "The shop that is open on this data has no gate in Redis: open it with `up --with redis`, or with ONSALE_REDIS.";

async function playIn(session: Session, options: ReplayOptions, command: ReplayCommand): Promise<ReplayReport> {
  if (command.inventory === "redis" && session.redis === undefined) throw new CommandFailure(withoutGate);
  const style = await begunSaga(session.databaseUrl);
  if (command.saga !== undefined && command.saga !== style)
    throw new CommandFailure(
      `The shop that is open on this data is ${style}; --saga ${command.saga} needs one that was begun so: choose another folder with --data.`,
    );
  return await playAndAudit(options, command, session);
}

async function planFile(file: string): Promise<{ plan: Plan; contentHash: string }> {
  const planner = new Planner();
  const { contentHash } = await readInvoices(file, (line) => planner.add(line));
  return { plan: planner.finish(), contentHash };
}

function optionsOf(file: string, { buyers, rate }: ReplayCommand, it: { plan: Plan; play: Play }): ReplayOptions {
  return { ...it, file, currency, buyers, ...(rate !== undefined && { ratePerSecond: rate }) };
}

/** Plays in a shop that runs, and audits what came of it. */
export async function playAndAudit(
  options: ReplayOptions,
  { faults }: Pick<ReplayCommand, "faults">,
  session: Session,
): Promise<ReplayReport> {
  const hold = await holdPlay(options, session);
  try {
    const outcome = await withFaults(faults === true, session, () => play(options, session));
    say("Auditing the books.");
    return reportOf(options, outcome, await audit(session));
  } catch (error) {
    // Whatever was waited for when the person ended the command: it was ended, not broken.
    if (session.signal.aborted) say("The same command goes on from here.");
    session.signal.throwIfAborted();
    throw error;
  } finally {
    await hold.release();
  }
}

async function holdPlay({ play, file }: ReplayOptions, { data }: Session): Promise<Hold> {
  const hold = await take(join(foldersIn(data).holders, "replay", journalName(play)), "replay");
  if ("holder" in hold) throw new PlayHeldError(file, hold.holder);
  return hold;
}

/** Another process plays the same file into the same shop. */
export class PlayHeldError extends Error {
  override readonly name = "PlayHeldError";
  constructor(file: string, { process, since }: Holder) {
    super(
      `${file} is being played into this shop already, by process ${process.pid} since ${since}: each of two would order what the other had not heard of yet.`,
    );
  }
}

async function play(options: ReplayOptions, { url, operator, data, signal }: Session): Promise<ReplayOutcome> {
  const connections = options.ratePerSecond === undefined ? options.buyers + 8 : maximumUnderWay;
  const client = new ShopClient({ url, connections, signal });
  const shop = new Shop(client);
  try {
    return await replayInvoices(options, {
      shop,
      operator: loggedIn(shop, operator),
      secret: await customersSecret(data),
      journals: join(data, "replay"),
      progress: progressOn(process.stderr),
      signal,
    });
  } finally {
    await client.close();
  }
}

/** What customers' passwords are made from; it stays when the operator's password changes. */
const customersSecret = (data: string): Promise<string> =>
  keptSecret(foldersIn(data).secrets, "replay-customers.key", () => randomBytes(32).toString("base64url"));

async function withFaults<Result>(on: boolean, session: Session, work: () => Promise<Result>): Promise<Result> {
  if (!on) return await work();
  for (const { url, apiSecret } of session.providers) await setFaults(url, apiSecret, badDay(faultSeed));
  try {
    return await work();
  } finally {
    for (const { url, apiSecret } of session.providers) await setFaults(url, apiSecret, noFaults);
  }
}

/** Errors whose message says all that a person needs. */
const isForPeople = (error: unknown): error is Error =>
  error instanceof NotInvoicesError ||
  error instanceof PlayHeldError ||
  error instanceof LostOrdersError ||
  error instanceof DamagedJournalError ||
  error instanceof ShopUnreachableError ||
  error instanceof UnexpectedAnswerError;
