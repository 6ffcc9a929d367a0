/** Tells listeners in this process which orders have changed, as soon as it is committed. It only saves waiting for a poll. */

import type { OrderId } from "@onsale/contracts/ids";
import type { Home } from "@onsale/postgres";

type Listener = (orderIds: readonly OrderId[]) => void;

const listeners = new Map<string, Set<Listener>>();
const addressOf = ({ database, schema }: Home): string => `${database}/${schema}`;

export function announceChanges(home: Home, orderIds: readonly OrderId[]): void {
  for (const listener of listeners.get(addressOf(home)) ?? []) listener(orderIds);
}

/** Listens until the returned function is called. */
export function onChanges(home: Home, listener: Listener): () => void {
  const address = addressOf(home);
  const heard = listeners.get(address) ?? new Set();
  listeners.set(address, heard.add(listener));
  return () => {
    heard.delete(listener);
    if (heard.size === 0) listeners.delete(address);
  };
}
