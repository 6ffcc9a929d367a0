import { createPrivateKey } from "node:crypto";
import { createTokenSigner, createTokenVerifier, newTokenKey, TokenRefusedError } from "@onsale/http";
import { type JWTPayload, SignJWT } from "jose";
import { afterEach, expect, test, vi } from "vitest";
import { personId } from "./server-for-tests.ts";

const realm = { privateKey: newTokenKey(), issuer: "https://issuer", audience: "shop" };
const signer = await createTokenSigner(realm);
const verifier = () => createTokenVerifier({ ...realm, publicKeys: signer.publicKeys });
const person = { id: personId, role: "customer" } as const;

afterEach(() => {
  vi.useRealTimers();
});

/** A token with the genuine key of which everything else can be chosen. */
function forged({ header = {}, claims = {} }: { header?: object; claims?: JWTPayload }) {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({
    role: "customer",
    sub: personId,
    iss: realm.issuer,
    aud: realm.audience,
    iat: now,
    exp: now + 60,
    ...claims,
  })
    .setProtectedHeader({ alg: "EdDSA", typ: "at+jwt", kid: signer.publicKeys.keys[0]?.kid ?? "", ...header })
    .sign(createPrivateKey(realm.privateKey), { crit: { x: true } });
}

test("what was signed is verified, and names the person", async () => {
  expect(await verifier().verify(await signer.sign(person, 60))).toEqual(person);
  expect(await verifier().verify(await forged({}))).toEqual(person);
});

test("the session that a token came from is in it", async () => {
  const loggedIn = { ...person, sessionId: "00000000-0000-7000-8000-00000000005e" };
  expect(await verifier().verify(await signer.sign(loggedIn, 60))).toEqual(loggedIn);
});

test.each([
  ["another type", { header: { typ: "JWT" } }],
  ["no type", { header: { typ: undefined } }],
  ["a critical header that nobody knows", { header: { crit: ["x"], x: 1 } }],
  ["no end", { claims: { exp: undefined } }],
  ["no beginning", { claims: { iat: undefined } }],
  ["a beginning that is to come", { claims: { nbf: Math.floor(Date.now() / 1000) + 60 } }],
  ["nobody", { claims: { sub: undefined } }],
  ["somebody who is no id", { claims: { sub: "admin" } }],
  ["no role", { claims: { role: undefined } }],
  ["a session that is no id", { claims: { sid: "mine" } }],
  ["a role that does not exist", { claims: { role: "root" } }],
  ["another audience", { claims: { aud: "shop2" } }],
  ["no audience", { claims: { aud: undefined } }],
  ["another issuer", { claims: { iss: "https://issuer/" } }],
])("a token with the genuine signature but %s is refused", async (_what, parts) => {
  await expect(verifier().verify(await forged(parts as Parameters<typeof forged>[0]))).rejects.toBeInstanceOf(
    TokenRefusedError,
  );
});

test.each(["", "a", "a.b", "a.b.c", "..", "a".repeat(100_000)])("garbage is refused", async (token) => {
  await expect(verifier().verify(token)).rejects.toBeInstanceOf(TokenRefusedError);
});

test("a verified token is known until it expires, and no longer", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const tokens = verifier();
  const token = await signer.sign(person, 60);
  expect(tokens.known(token)).toBeUndefined();
  await tokens.verify(token);
  expect(tokens.known(token)).toEqual(person);
  vi.setSystemTime(Date.now() + 59_000);
  expect(tokens.known(token)).toEqual(person);
  vi.setSystemTime(Date.now() + 1_000);
  expect(tokens.known(token)).toBeUndefined();
  await expect(tokens.verify(token)).rejects.toMatchObject({ expired: true });
});

test("a refused token is not remembered", async () => {
  const tokens = verifier();
  const token = await forged({ claims: { aud: "shop2" } });
  await tokens.verify(token).catch(() => undefined);
  expect(tokens.known(token)).toBeUndefined();
});

test("what is remembered has a bound; the oldest is forgotten first", async () => {
  const tokens = createTokenVerifier({ ...realm, publicKeys: signer.publicKeys, remembered: 3 });
  const all = [];
  for (let index = 0; index < 5; index++) {
    const token = await signer.sign({ ...person, id: personId.replace(/.$/, String(index)) }, 60);
    await tokens.verify(token);
    all.push(token);
  }
  expect(all.map((token) => tokens.known(token)?.id.at(-1))).toEqual([undefined, undefined, "2", "3", "4"]);
});

test("the published keys have no private part", () => {
  expect(Object.keys(signer.publicKeys.keys[0] ?? {}).sort()).toEqual(["alg", "crv", "kid", "kty", "use", "x"]);
});
