import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import {
  calculateJwkThumbprint,
  createLocalJWKSet,
  errors,
  exportJWK,
  type JSONWebKeySet,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from "jose";

/** In the order of what they may do: each may do what those before it may. */
export const roles = ["guest", "customer", "operator", "admin"] as const;
export type Role = (typeof roles)[number];

/** Who sends a request. */
export interface Person {
  readonly id: string;
  readonly role: Role;
  /** The log-in that the token came from; a guest has none. */
  readonly sessionId?: string;
}

/** Why a token is not accepted. */
export class TokenRefusedError extends Error {
  override readonly name = "TokenRefusedError";
  readonly expired: boolean;

  constructor(cause: unknown) {
    super("The token is not accepted.", { cause });
    this.expired = cause instanceof errors.JWTExpired;
  }
}

/** Verifies access tokens without asking anybody. */
export interface TokenVerifier {
  /** Who holds this token, if it was verified a moment ago and is still valid. Costs no cryptography. */
  known(token: string): Person | undefined;
  /** @throws {TokenRefusedError} */
  verify(token: string): Promise<Person>;
}

export interface TokenSigner {
  /** @param lifetimeSeconds How long the token is valid. */
  sign(person: Person, lifetimeSeconds: number): Promise<string>;
  /** What others verify with; published at `/.well-known/jwks.json`. */
  readonly publicKeys: JSONWebKeySet;
}

interface Realm {
  /** Who issues the tokens, and for whom; both are compared exactly. */
  readonly issuer: string;
  readonly audience: string;
}

// Fixed here, never read from a token's header (RFC 8725): a token can't choose how it is verified.
const algorithm = "EdDSA";
const tokenType = "at+jwt";

/** A new signing key as PEM (PKCS #8, Ed25519): what `createTokenSigner` takes. Keep it secret. */
export const newTokenKey = (): string =>
  generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();

export async function createTokenSigner({
  privateKey,
  issuer,
  audience,
}: Realm & { readonly privateKey: string }): Promise<TokenSigner> {
  const key = createPrivateKey(privateKey);
  const publicKey = await exportJWK(createPublicKey(key));
  const kid = await calculateJwkThumbprint(publicKey);
  return {
    publicKeys: { keys: [{ ...publicKey, kid, alg: algorithm, use: "sig" }] },
    sign: ({ id, role, sessionId }, lifetimeSeconds) =>
      new SignJWT({ role, ...(sessionId !== undefined && { sid: sessionId }) })
        .setProtectedHeader({ alg: algorithm, typ: tokenType, kid })
        .setSubject(id)
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime(Math.floor(Date.now() / 1000) + lifetimeSeconds)
        .sign(key),
  };
}

// A signature costs more than a small query; longer than any token we issue, so what can't be ours costs nothing.
const longestToken = 2_048;

export interface TokenVerifierOptions extends Realm {
  readonly publicKeys: JSONWebKeySet;
  /** Verified tokens that are remembered. Default 10,000 of about 400 bytes: the buyers of one hot minute in 4 MB. */
  readonly remembered?: number;
}

export function createTokenVerifier({
  publicKeys,
  issuer,
  audience,
  remembered = 10_000,
}: TokenVerifierOptions): TokenVerifier {
  const keys = createLocalJWKSet(publicKeys);
  const seen = new Map<string, { readonly person: Person; readonly expiresAtMs: number }>();
  const rules = { algorithms: [algorithm], typ: tokenType, issuer, audience, requiredClaims: ["sub", "iat", "exp"] };

  return {
    known(token) {
      const found = seen.get(token);
      if (found === undefined) return undefined;
      if (found.expiresAtMs > Date.now()) return found.person;
      seen.delete(token);
      return undefined;
    },
    async verify(token) {
      const { person, expiresAtMs } = await accepted(token);
      if (seen.size >= remembered) forgetOldest(seen);
      seen.set(token, { person, expiresAtMs });
      return person;
    },
  };

  async function accepted(token: string) {
    try {
      if (token.length > longestToken) throw new Error("too long");
      const { payload } = await jwtVerify(token, keys, rules);
      return { person: personOf(payload), expiresAtMs: (payload.exp ?? 0) * 1_000 };
    } catch (error) {
      throw new TokenRefusedError(error);
    }
  }
}

/** A Map keeps the order of insertion: the first entry is the oldest. */
function forgetOldest(seen: Map<string, unknown>): void {
  for (const token of seen.keys()) {
    seen.delete(token);
    return;
  }
}

const personId = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const isRole = (value: unknown): value is Role => (roles as readonly unknown[]).includes(value);
const isId = (value: unknown): value is string => typeof value === "string" && personId.test(value);

function personOf({ sub, role, sid }: JWTPayload): Person {
  if (!isId(sub) || !isRole(role)) throw new Error("names no person");
  if (sid === undefined) return { id: sub, role };
  if (!isId(sid)) throw new Error("names no session");
  return { id: sub, role, sessionId: sid };
}
