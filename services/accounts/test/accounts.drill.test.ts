import { accountErased } from "@onsale/contracts/accounts";
import type { BuyerId } from "@onsale/contracts/ids";
import { createTokenSigner, newTokenKey, type TokenSigner } from "@onsale/http";
import { as, bigint, boolean, type Database, nullable, sql, text, uuid } from "@onsale/postgres";
import { ids } from "@onsale/runtime";
import { everyCrashPoint, readOutbox } from "@onsale/testing";
import { beforeAll, describe, expect, test } from "vitest";
import { changePassword } from "../src/change-password.ts";
import { eraseOwnAccount } from "../src/erase-account.ts";
import { accounts } from "../src/index.ts";
import { openSession } from "../src/log-in.ts";
import { hashPassword, verifyPassword } from "../src/password.ts";
import { refreshSession } from "../src/refresh-session.ts";
import { insertAccount } from "../src/store/account.ts";
import { password, realm } from "./house.ts";

// Wherever it is broken off, a person who asks again is where an undisturbed request leads. Each attempt compares or makes
// real passwords, some hundred in all: that is why it is a drill.
const timeout = 240_000;
const accountId: BuyerId = ids.uuid();
const address = "10.0.0.1";
const sessions = { here: ids.uuid(), elsewhere: ids.uuid() };
const newPassword = "battery staple";

let tokens: TokenSigner;
let passwordHash: string;
let refreshToken = "";
beforeAll(async () => {
  tokens = await createTokenSigner({ privateKey: newTokenKey(), ...realm });
  passwordHash = String(await hashPassword(password));
});

const content = { services: [accounts] };
const contextOf = (database: Database) => ({
  database,
  ports: { clock: { now: () => new Date().toISOString() }, ids, tokens, secret: "a secret of this test alone" },
});

/** Somebody who is logged in here and elsewhere. */
async function moveIn(database: Database): Promise<void> {
  await database.transaction(async (tx) => {
    await insertAccount(tx, { accountId, email: "ann@example.com", passwordHash, name: "Ann", role: "customer" });
    for (const sessionId of Object.values(sessions)) {
      const opened = await openSession(tx, { accountId, role: "customer", sessionId, userAgent: null });
      refreshToken = opened.refreshToken;
    }
  });
}

describe("every crash point", { timeout }, () => {
  test("of a change of password: the new one counts, and nobody who came in with the old one is left", async () => {
    const { steps } = await everyCrashPoint({
      ...{ content, schema: "accounts", prepare: moveIn },
      async deliver(database) {
        const wish = { accountId, password, newPassword, address, sessionId: sessions.here };
        await changePassword(contextOf(database), wish);
      },
      async outcome(database) {
        const [account] = await database.query(accountSql, [accountId]);
        return {
          isNew: await verifyPassword(account?.passwordHash ?? undefined, newPassword),
          sessions: await database.query(sessionsSql, [accountId]),
        };
      },
      check: (outcome) => expect(outcome).toEqual({ isNew: true, sessions: [{ sessionId: sessions.here }] }),
    });
    expect(steps).toBeGreaterThan(5);
  });

  test("of a rotated refresh token: one who asks again has the one good token, or the session is over", async () => {
    let renewed: Awaited<ReturnType<typeof refreshSession>>;
    const { steps } = await everyCrashPoint({
      ...{ content, schema: "accounts", prepare: moveIn },
      async deliver(database) {
        renewed = await refreshSession(contextOf(database), refreshToken);
      },
      async outcome(database) {
        const [alive] = await database.query(aliveSql, [sessions.elsewhere]);
        return { ...alive, renewed };
      },
      check({ isOpen, good, renewed: pair }) {
        expect({ isOpen, good }).toEqual(pair ? { isOpen: true, good: 1 } : { isOpen: false, good: 0 });
      },
    });
    expect(steps).toBeGreaterThan(4);
  });

  test("of an erasure: nothing but the bare id is left, and it is told once", async () => {
    const { steps } = await everyCrashPoint({
      ...{ content, schema: "accounts", prepare: moveIn },
      async deliver(database) {
        await eraseOwnAccount(contextOf(database), { accountId, password, address }, { correlationId: "c" });
      },
      async outcome(database) {
        const [left] = await database.query(accountSql, [accountId]);
        return {
          left,
          sessions: await database.query(sessionsSql, [accountId]),
          told: (await readOutbox(database, accountErased)).length,
        };
      },
      check: ({ left, sessions: open, told }) =>
        expect({ left, open, told }).toEqual({
          left: { isErased: true, email: null, passwordHash: null },
          ...{ open: [], told: 1 },
        }),
    });
    expect(steps).toBeGreaterThan(10);
  });
});

const owner = as<BuyerId>(uuid);
const accountSql = sql("test.account", {
  takes: [owner],
  gives: { isErased: boolean, email: nullable(text), passwordHash: nullable(text) },
})`
  select erased_at is not null as "isErased", email, password_hash as "passwordHash"
  from accounts.account where account_id = $1`;
const sessionsSql = sql("test.sessions", { takes: [owner], gives: { sessionId: uuid } })`
  select session_id as "sessionId" from accounts.session where account_id = $1`;
const aliveSql = sql("test.alive", { takes: [uuid], gives: { isOpen: boolean, good: bigint } })`
  select exists (select from accounts.session where session_id = $1) as "isOpen",
    (select count(*) from accounts.refresh_token where session_id = $1 and used_at is null) as good`;
