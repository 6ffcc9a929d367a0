export { RedisUnavailableError } from "./errors.ts";
export { openRedis, type Redis, type RedisOptions, type Subscription } from "./redis.ts";
export { type RedisScript, script } from "./script.ts";
