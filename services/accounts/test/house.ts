import { hash } from "@node-rs/argon2";
import {
  createHttpServer,
  createTokenSigner,
  createTokenVerifier,
  type HttpServer,
  newTokenKey,
  type TokenSigner,
} from "@onsale/http";
import type { Database } from "@onsale/postgres";
import { ids, metrics, silentLogger } from "@onsale/runtime";
import { type TestDatabase, testDatabase } from "@onsale/testing";
import { accounts, type OperatorLogIn } from "../src/index.ts";
import { insertAccount } from "../src/store/account.ts";

export const realm = { issuer: "onsale", audience: "onsale" };
export const operator: OperatorLogIn = { email: "Operator@onsale.local", password: "not a secret at all" };
export const password = "correct horse";

const storedPassword = hash(password, { memoryCost: 19 * 1024, timeCost: 2, parallelism: 1 });

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export type Answer = Awaited<ReturnType<House["call"]>>;

export interface Asked {
  readonly token?: string;
  readonly from?: string;
  readonly userAgent?: string;
}

/** Somebody who is logged in. */
export interface Member {
  readonly accountId: string;
  readonly email: string;
  readonly accessToken: string;
  readonly refreshToken: string;
  call(method: Method, url: string, payload?: object): Promise<Answer>;
}

/** The accounts service on a database and behind a server of its own. */
export class House {
  readonly server: TestDatabase;
  readonly database: Database;
  readonly http: HttpServer;
  readonly tokens: TokenSigner;
  // Of its own: what was seen to for one house is not for another of the same process.
  readonly #operator = { ...operator };

  private constructor(server: TestDatabase, http: HttpServer, tokens: TokenSigner) {
    this.server = server;
    this.database = server.open("accounts");
    this.http = http;
    this.tokens = tokens;
    accounts.routes(http, this.context());
  }

  static async open(): Promise<House> {
    const server = await testDatabase({ services: [accounts] });
    const tokens = await createTokenSigner({ privateKey: newTokenKey(), ...realm });
    const http = await createHttpServer({
      name: "accounts",
      version: "0",
      tokens: createTokenVerifier({ publicKeys: tokens.publicKeys, ...realm }),
      logger: silentLogger(),
    });
    return new House(server, http, tokens);
  }

  context(given: OperatorLogIn = this.#operator) {
    return {
      database: this.database,
      ports: {
        clock: { now: () => new Date().toISOString() },
        ids,
        tokens: this.tokens,
        secret: "a secret of this test alone",
        operator: given,
      },
      feeds: { passed: async () => true },
    };
  }

  async close(): Promise<void> {
    await this.http.close();
    await this.server.close();
  }

  async call(method: Method, url: string, payload?: object, asked: Asked = {}) {
    const answer = await this.http.inject({
      ...{ method, url, ...(payload && { payload }) },
      headers: {
        ...(asked.token !== undefined && { authorization: `Bearer ${asked.token}` }),
        ...(asked.userAgent !== undefined && { "user-agent": asked.userAgent }),
      },
      ...(asked.from !== undefined && { remoteAddress: asked.from }),
    });
    return { status: answer.statusCode, headers: answer.headers, body: answer.body === "" ? {} : answer.json() };
  }

  register(email: string): Promise<Answer> {
    return this.call("POST", "/v1/accounts", { email, password, name: "Ann" });
  }

  logIn(email: string, given = password, asked: Asked = {}): Promise<Answer> {
    return this.call("POST", "/v1/tokens", { email, password: given }, asked);
  }

  refresh(refreshToken: string): Promise<Answer> {
    return this.call("POST", "/v1/tokens/refresh", { refreshToken });
  }

  /** Somebody with an account, logged in. The account is put there, which costs no hash. */
  async member(name: string): Promise<Member> {
    const email = `${name}@example.com`;
    return await this.loggedIn(email, await this.account(email));
  }

  async account(email: string): Promise<string> {
    const accountId = ids.uuid();
    const passwordHash = await storedPassword;
    await this.database.transaction((tx) =>
      insertAccount(tx, { accountId, email, passwordHash, name: "Ann", role: "customer" }),
    );
    return accountId;
  }

  async loggedIn(email: string, accountId: string, given = password): Promise<Member> {
    const { body } = await this.logIn(email, given);
    const { accessToken, refreshToken } = body;
    const call = (method: Method, url: string, payload?: object) =>
      this.call(method, url, payload, { token: accessToken });
    return { accountId, email, accessToken, refreshToken, call };
  }

  /** The configured operator, who is an admin. */
  async admin(): Promise<Member> {
    const member = await this.loggedIn(operator.email, "", operator.password);
    const { body } = await member.call("GET", "/v1/accounts/me");
    return { ...member, accountId: body.accountId };
  }
}

/** How many passwords were hashed or compared in this process: what can be counted need not be timed. */
export async function passwordsHashed(): Promise<number> {
  const { values } = (await metrics.getSingleMetric("onsale_password_hash_seconds")?.get()) ?? { values: [] };
  return (values as { metricName?: string; value: number }[])
    .filter(({ metricName }) => metricName === "onsale_password_hash_seconds_count")
    .reduce((sum, { value }) => sum + value, 0);
}
