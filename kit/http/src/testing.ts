/** Goes through every route of a server and asks whether its door is shut: for the tests of kit and of whoever composes a server. */

import { isLetIn } from "./authentication.ts";

export { checkInput, sampleOf } from "./input-check.ts";
export type { JsonSchema } from "./schemas.ts";

import { type DeclaredRoute, type HttpServer, routesOf } from "./route.ts";
import { createTokenSigner, newTokenKey, type Person, type Role, roles, type TokenSigner } from "./tokens.ts";

/** With what the server under test signs its tokens. */
export interface TestRealm {
  readonly privateKey: string;
  readonly issuer: string;
  readonly audience: string;
}

export interface AccessReport {
  /** Requests that were sent: a check that sent none has checked nothing. */
  readonly checked: number;
  /** A sentence for each answer that let somebody in, or said so with the wrong words. */
  readonly faults: readonly string[];
}

const somebody = "00000000-0000-7000-8000-000000000001";

/**
 * Sends every route that is not public requests with no token and with each kind of false one, which must get 401; every
 * route the token of each role that is too little for it, which must get 403; and every route that takes a body a field
 * that it does not know, which must be refused. None of it may change anything.
 */
export async function checkAccess(http: HttpServer, realm: TestRealm): Promise<AccessReport> {
  const credentials = await forgeCredentials(realm);
  const reports = await Promise.all(routesOf(http).map((route) => checkRoute(http, route, credentials)));
  return {
    checked: reports.reduce((sum, { checked }) => sum + checked, 0),
    faults: reports.flatMap(({ faults }) => faults),
  };
}

interface Credentials {
  /** Authorization headers that open nothing, by what is wrong with them. */
  readonly false: Readonly<Record<string, string | undefined>>;
  readonly genuine: Readonly<Record<Role, string>>;
}

async function checkRoute(http: HttpServer, route: DeclaredRoute, credentials: Credentials): Promise<AccessReport> {
  const faults: string[] = [];
  let checked = 0;
  const expectStatus = async (what: string, expected: (status: number) => boolean, request: Ask) => {
    checked++;
    const answer = await ask(http, route, request);
    if (!expected(answer.statusCode))
      faults.push(`${route.method} ${route.url} with ${what} answered ${answer.statusCode}`);
    else if (answer.statusCode === 401 && answer.headers["www-authenticate"] === undefined) {
      faults.push(`${route.method} ${route.url} with ${what} answered 401 without WWW-Authenticate`);
    }
  };

  if (route.access !== "public") {
    for (const [what, authorization] of Object.entries(credentials.false)) {
      await expectStatus(what, (status) => status === 401, { authorization });
    }
  }
  for (const role of tooLittleFor(route)) {
    const authorization = credentials.genuine[role];
    await expectStatus(`the token of a ${role}`, (status) => status === 403, { authorization });
  }
  if (route.takesBody) {
    const request = { authorization: credentials.genuine.admin, payload: { fieldThatNoRouteKnows: 1 } };
    await expectStatus("an unknown field", (status) => status >= 400 && status < 500, request);
  }
  return { checked, faults };
}

const tooLittleFor = ({ access }: DeclaredRoute): Role[] =>
  access === "public" ? [] : roles.filter((role) => !isLetIn(role, access));

interface Ask {
  readonly authorization: string | undefined;
  readonly payload?: object;
}

/** The route with each parameter filled in; what stands there does not matter at a shut door. */
function ask(http: HttpServer, { method, url }: DeclaredRoute, { authorization, payload }: Ask) {
  return http.inject({
    method: method as "GET",
    url: url.replaceAll(/:[^/]+/g, somebody),
    headers: { "idempotency-key": "check-access", ...(authorization !== undefined && { authorization }) },
    ...(payload && { payload }),
  });
}

async function forgeCredentials(realm: TestRealm): Promise<Credentials> {
  const genuine = await createTokenSigner(realm);
  const stranger = await createTokenSigner({ ...realm, privateKey: newTokenKey() });
  const elsewhere = await createTokenSigner({ ...realm, audience: `${realm.audience}-other` });
  const impostor = await createTokenSigner({ ...realm, issuer: `${realm.issuer}-other` });
  const admin: Person = { id: somebody, role: "admin" };
  const bearer = async (signer: TokenSigner, person: Person, lifetimeSeconds = 60) =>
    `Bearer ${await signer.sign(person, lifetimeSeconds)}`;
  const good = await bearer(genuine, admin);
  return {
    false: {
      "no token": undefined,
      "another scheme": `Basic ${Buffer.from("operator:operator").toString("base64")}`,
      garbage: "Bearer garbage",
      "a token that signs nothing (alg none)": unsigned(good, { alg: "none" }),
      "a token that names another algorithm": unsigned(good, { alg: "HS256" }),
      "a token of another key": await bearer(stranger, admin),
      "a token that brings its own key": unsigned(
        await bearer(stranger, admin),
        { jwk: stranger.publicKeys.keys[0], alg: "EdDSA" },
        true,
      ),
      "an expired token": await bearer(genuine, admin, -1),
      "a token for another audience": await bearer(elsewhere, admin),
      "a token of another issuer": await bearer(impostor, admin),
      "a token whose role was changed": changed(await bearer(genuine, { id: somebody, role: "guest" })),
      "a token of another type": unsigned(good, { typ: "JWT" }, true),
      "a role that does not exist": await bearer(genuine, { id: somebody, role: "root" as never }),
    },
    genuine: {
      guest: await bearer(genuine, { id: somebody, role: "guest" }),
      customer: await bearer(genuine, { id: somebody, role: "customer" }),
      operator: await bearer(genuine, { id: somebody, role: "operator" }),
      admin: good,
    },
  };
}

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const decoded = (part: string | undefined): object => JSON.parse(Buffer.from(part ?? "", "base64url").toString());

/** The token with other fields in its header, and its signature left away unless it is kept. */
function unsigned(bearer: string, header: object, keepSignature = false): string {
  const [head, payload, signature] = bearer.slice("Bearer ".length).split(".");
  return `Bearer ${encoded({ ...decoded(head), ...header })}.${payload}.${keepSignature ? signature : ""}`;
}

function changed(bearer: string): string {
  const [head, payload, signature] = bearer.slice("Bearer ".length).split(".");
  return `Bearer ${head}.${encoded({ ...decoded(payload), role: "admin" })}.${signature}`;
}
