import { ConfigurationError } from "@onsale/runtime";
import type { Configuration } from "./configuration.ts";

/** A Redis, and what stands before every key there. */
export interface RedisChoice {
  readonly url: string;
  readonly prefix: string;
}

/**
 * The Redis that somebody else runs, if one is named. `beside`: one is to be started beside the shop.
 * @throws {ConfigurationError} where both are asked for, or this machine can't start one.
 */
export async function settleRedis(configuration: Configuration, beside: boolean): Promise<RedisChoice | undefined> {
  const { redis: url, redisPrefix: prefix } = configuration;
  if (!beside) return url === undefined ? undefined : { url, prefix };
  if (url !== undefined)
    throw new ConfigurationError([
      `ONSALE_REDIS names a Redis (${addressOf(url)}) and --with redis asks for another one: leave one of them out.`,
    ]);
  const { whatRedisLacks } = await import("@onsale/redis/server");
  const missing = await whatRedisLacks();
  if (missing !== undefined) throw new ConfigurationError([`Redis can't be started beside the shop. ${missing}`]);
  return undefined;
}

/** Without the name and password of whoever may use it. */
export function addressOf(redisUrl: string): string {
  const { protocol, host, pathname } = new URL(redisUrl);
  return `${protocol}//${host}${pathname}`;
}
