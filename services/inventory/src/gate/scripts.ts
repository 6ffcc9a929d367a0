/** What Redis does for the gate, each in one step. */

import { script } from "@onsale/redis";

/**
 * Writes levels that are newer than what is known, for a while. KEYS: shelves. ARGV: milliseconds, then left and version of each.
 */
export const tellScript = script<null>()`
  for i = 1, #KEYS do
    local known = tonumber(redis.call('hget', KEYS[i], 'version') or '-1')
    if known < tonumber(ARGV[2 * i + 1]) then
      redis.call('hset', KEYS[i], 'left', ARGV[2 * i], 'version', ARGV[2 * i + 1])
      redis.call('pexpire', KEYS[i], ARGV[1])
    end
  end
  return false`;

/**
 * Lets an order through and takes its units off what is left, or says what stands in its way. A request that was let through
 * before goes through again, whatever is left: it has an answer already. KEYS: memory, request, shelves. ARGV: Redis's own
 * run, milliseconds that a request is remembered, then the units of each shelf.
 * Gives 1; or 0 and the shelves in the way, with 2 before them when not all requests since a day are remembered.
 */
export const admitScript = script<number[]>()`
  if redis.call('exists', KEYS[2]) == 1 then return {1} end
  local inTheWay = {}
  for i = 3, #KEYS do
    local left = redis.call('hget', KEYS[i], 'left')
    if left and tonumber(left) < tonumber(ARGV[i]) then inTheWay[#inTheWay + 1] = i - 3 end
  end
  if #inTheWay > 0 then
    table.insert(inTheWay, 1, redis.call('get', KEYS[1]) == ARGV[1] and 0 or 2)
    return inTheWay
  end
  for i = 3, #KEYS do
    if redis.call('exists', KEYS[i]) == 1 then redis.call('hincrby', KEYS[i], 'left', -ARGV[i]) end
  end
  redis.call('set', KEYS[2], '', 'PX', ARGV[2])
  return {1}`;

/** Puts units back that were taken off for an order that was not placed. KEYS: shelves. ARGV: units of each. */
export const giveBackScript = script<null>()`
  for i = 1, #KEYS do
    if redis.call('exists', KEYS[i]) == 1 then redis.call('hincrby', KEYS[i], 'left', ARGV[i]) end
  end
  return false`;

/** Remembers requests. KEYS: each. ARGV: milliseconds. */
export const markScript = script<null>()`
  for i = 1, #KEYS do redis.call('set', KEYS[i], '', 'PX', ARGV[1]) end
  return false`;

/** Whether all requests are remembered. KEYS: memory. ARGV: run. */
export const isCompleteScript = script<number>()`
  return redis.call('get', KEYS[1]) == ARGV[1] and 1 or 0`;

/** All requests are remembered from now on. KEYS: memory. ARGV: run. */
export const completeScript = script<null>()`
  redis.call('set', KEYS[1], ARGV[1])
  return false`;

/** Not all requests are remembered. KEYS: memory. */
export const incompleteScript = script<null>()`
  redis.call('del', KEYS[1])
  return false`;
