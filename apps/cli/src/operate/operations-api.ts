import { randomUUID } from "node:crypto";
import { loggedIn } from "../logged-in.ts";
import { CommandFailure } from "../output.ts";
import type { Session } from "../session.ts";
import { withServer } from "../session.ts";
import { Shop } from "../shop.ts";
import { ShopClient, type ShopRequest, whatIsSaid } from "../shop-client.ts";

/** The operations API of the shop, in whose words its operator works. */
export interface OperationsApi {
  readonly signal: AbortSignal;
  /** Fields that are undefined are left away. */
  get<Answer>(path: string, query?: Readonly<Record<string, string | number | undefined>>): Promise<Answer>;
  send<Answer>(method: "POST" | "PUT", path: string, body: object): Promise<Answer>;
}

/**
 * Gives `work` the operations API of the shop on this data; where none runs, it is started and stopped afterwards; where there
 * is no data, none is begun. What the shop refuses is a `CommandFailure` with its sentence.
 */
export const operating = <Result>(
  data: string | undefined,
  verb: string,
  work: (api: OperationsApi) => Promise<Result>,
): Promise<Result> => withServer(data, (session) => operatingIn(session, work), { verb, onlyBegun: true });

/** The same in a shop that is at hand. */
export async function operatingIn<Result>(
  { url, operator, signal }: Session,
  work: (api: OperationsApi) => Promise<Result>,
): Promise<Result> {
  const client = new ShopClient({ url, connections: 1, signal });
  const token = loggedIn(new Shop(client), operator);
  const call = async (request: ShopRequest): Promise<never> => {
    const { status, body } = await client.send({ ...request, accessToken: await token() });
    if (status >= 200 && status < 300) return body as never;
    throw new CommandFailure(refusalIn(body));
  };
  try {
    return await work({
      signal,
      get: (path, query = {}) => call({ method: "GET", path: `/v1/admin/${path}${queryOf(query)}` }),
      send: (method, path, body) => call({ method, path: `/v1/admin/${path}`, body, idempotencyKey: randomUUID() }),
    });
  } finally {
    await client.close();
  }
}

function queryOf(query: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as [string, string]],
  );
  return given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
}

/** The sentence of a problem, with its code behind it for whoever looks it up. */
function refusalIn(body: unknown): string {
  const { code, detail } = body as { code?: unknown; detail?: unknown };
  return typeof detail === "string" && typeof code === "string" ? `${detail} (${code})` : whatIsSaid(body);
}

/** A thing of one reader as it is named on the command line, `reader/id`, and in a path. */
export function pathOf(name: string): string {
  const at = name.indexOf("/");
  if (at < 1 || at === name.length - 1)
    throw new CommandFailure(`${name} is no name like orders/0192c5a2-7c1e-7000-8000-000000000001.`);
  return `${name.slice(0, at)}/${encodeURIComponent(name.slice(at + 1))}`;
}
